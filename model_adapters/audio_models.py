"""Audio models that chat and that vLLM 0.32 has classes for: the table of our entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sensorium.model_adapters.audio_model import AudioModel

__all__ = ["AUDIO_MODELS", "audio_model", "find_audio_model"]

_PROOF = "tests/families/test_audio_chat.py"

AUDIO_MODELS = (
    AudioModel(
        name="qwen2-audio",
        title="Qwen2-Audio",
        checkpoints=("Qwen/Qwen2-Audio-7B", "Qwen/Qwen2-Audio-7B-Instruct"),
        architectures=("Qwen2AudioForConditionalGeneration",),
        placeholder="Audio 1: <|audio_bos|><|AUDIO|><|audio_eos|>",
        tokens_per_second=25,
        seconds=30,
        limits=(
            "the encoder has positions for 30 s; its processor, and stock vLLM with it, drops what "
            "comes after without a word"
        ),
        proof=_PROOF,
        sources=(
            "huggingface/transformers, models/qwen2_audio/processing_qwen2_audio.py",
            "vllm-project/vllm#9248",
        ),
    ),
)


def audio_model(name: str) -> AudioModel | None:
    """The entry of that name."""
    return next((model for model in AUDIO_MODELS if model.name == name), None)


def find_audio_model(raw: Mapping[str, Any]) -> AudioModel | None:
    """The entry that a checkpoint's config belongs to, None for what is no such model."""
    architectures = raw.get("architectures") or ()
    for model in AUDIO_MODELS:
        if set(model.architectures) & set(architectures):
            return model
    return None
