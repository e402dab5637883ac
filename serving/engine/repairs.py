"""Repairs to vLLM 0.32 where its code takes for granted what is not there."""

from __future__ import annotations

from typing import Any

__all__ = [
    "name_rows_without_tokens",
    "resample_without_torchaudio",
    "share_processor",
]

_PROCESSOR = "_sensorium_processor"


def resample_without_torchaudio() -> bool:
    """Let audio at any rate through where torchaudio cannot be imported; True if it was needed.

    vLLM's parser resamples with torchaudio (`vllm/multimodal/audio.py`); without it a 44.1 kHz
    file is answered with status 500. Its function for soxr, which librosa resamples with too, takes
    the place of that.
    """
    from vllm.multimodal import audio
    from vllm.utils.import_utils import PlaceholderModule

    if not isinstance(audio.torchaudio, PlaceholderModule):
        return False
    audio.resample_audio_torchaudio = audio.resample_audio_soxr
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


def share_processor(engine: Any) -> None:
    """Have media counted by the processor that the renderer of this engine has.

    vLLM 0.32 makes another for each request with media, to ask it how many the model takes
    (`BaseMultiModalItemTracker._validate_add`): a millisecond in which the event loop stands still.
    """
    from vllm.renderers.chat_utils import BaseMultiModalItemTracker as Tracker

    processor = getattr(engine.renderer, "mm_processor", None)
    if processor is None:
        return
    # On the configuration itself, so that both go together when the engine does.
    object.__setattr__(engine.model_config, _PROCESSOR, processor)

    def shared(tracker: Any) -> Any:
        found = getattr(tracker.model_config, _PROCESSOR, None)
        return found or tracker.mm_registry.create_processor(tracker.model_config)

    Tracker.mm_processor = property(shared)
