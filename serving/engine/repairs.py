"""Repairs to vLLM 0.32 where its CPU build lacks what its code takes for granted."""

from __future__ import annotations

__all__ = ["resample_without_torchaudio"]


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
