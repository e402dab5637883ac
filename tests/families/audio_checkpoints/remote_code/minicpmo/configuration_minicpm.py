"""The configuration that MiniCPM-o's checkpoints bring, as far as an engine reads it."""

from __future__ import annotations

from typing import Any

from transformers import Qwen2Config, SiglipVisionConfig, WhisperConfig

__all__ = ["MiniCPMOConfig"]


class MiniCPMOConfig(Qwen2Config):
    """The language model's settings, and those of eyes and ears beside them."""

    model_type = "minicpmo"

    def __init__(self, vision_config: Any = None, audio_config: Any = None, **others: Any) -> None:
        self.vision_config = SiglipVisionConfig(**(vision_config or {}))
        self.audio_config = WhisperConfig(**(audio_config or {}))
        super().__init__(**others)
