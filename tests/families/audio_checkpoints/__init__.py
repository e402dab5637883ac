"""A tiny random checkpoint of each audio model that vLLM serves by a class of its own.

They are in Hugging Face's layout: configuration, weights, tokenizer and processor, all small.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.families.audio_checkpoints import (
    gemma3n,
    granite_speech,
    minicpmo,
    omni,
    phi4mm,
    qwen2_audio,
    ultravox,
    voxtral,
)

__all__ = ["BUILDERS"]

# By the name of the model's entry; a builder fills a folder that does not exist yet.
BUILDERS: dict[str, Callable[[Path], None]] = {
    "qwen2-audio": qwen2_audio.build,
    "ultravox": ultravox.build,
    "voxtral": voxtral.build,
    "granite-speech": granite_speech.build,
    "qwen2.5-omni": omni.qwen2_5_omni,
    "qwen3-omni": omni.qwen3_omni,
    "gemma-3n": gemma3n.build,
    "minicpm-o": minicpmo.build,
    "phi-4-multimodal": phi4mm.build,
}
