"""Repairs to vLLM 0.32 where its code takes for granted what is not there."""

from __future__ import annotations

__all__ = ["name_rows_without_tokens", "resample_without_torchaudio"]


def resample_without_torchaudio() -> bool:
    """Let audio at any rate through where torchaudio cannot be imported; True if it was needed.

    vLLM's parser resamples with torchaudio (`vllm/multimodal/audio.py`); without it a 44.1 kHz
    file is answered with status 500. PyAV's resampler, which vLLM has as well, takes its place.
    """
    from vllm.multimodal import audio
    from vllm.utils.import_utils import PlaceholderModule

    if not isinstance(audio.torchaudio, PlaceholderModule):
        return False
    audio.resample_audio_torchaudio = audio.resample_audio_pyav
    return True


def name_rows_without_tokens() -> None:
    """Give rows of the embedding table that no token has an empty text in log-probabilities.

    Tables are padded (LLaVA's has 32,064 rows for 32,002 tokens). Where such a row is among the
    likeliest, which a `logit_bias` can bring about, vLLM asks a SentencePiece-like tokenizer for
    its name, takes the None for a text (`vllm/tokenizers/detokenizer_utils.py`), and the error ends
    the engine for everybody.
    """
    from vllm.tokenizers import detokenizer_utils

    theirs = detokenizer_utils._restore_leading_spaces

    def restore(raw_token: str | None, token_str: str, marker: str) -> str:
        return str(theirs(raw_token or "", token_str, marker))

    detokenizer_utils._restore_leading_spaces = restore
