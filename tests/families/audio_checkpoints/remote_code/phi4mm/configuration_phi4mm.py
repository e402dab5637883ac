"""The configuration that Phi-4-multimodal's checkpoint brings, as far as an engine reads it."""

from __future__ import annotations

from typing import Any

from transformers import Phi3Config

__all__ = ["Phi4MMConfig"]


class Phi4MMConfig(Phi3Config):
    """The language model's settings, and those of eyes and ears beside them."""

    model_type = "phi4mm"

    def __init__(
        self,
        embd_layer: dict[str, Any] | None = None,
        audio_processor: dict[str, Any] | None = None,
        img_processor: str | None = None,
        **others: Any,
    ) -> None:
        self.embd_layer = embd_layer
        self.audio_processor = audio_processor
        self.img_processor = img_processor
        super().__init__(**others)
