"""Sounds are measured before vLLM's processor makes features of them, which would cut long ones.

This is where every route passes, HTTP or not, with our media path or vLLM's. The seam is vLLM's
own: a model class is registered with the object that knows how its media are parsed.
"""

from __future__ import annotations

from typing import Any

from vllm.exceptions import VLLMValidationError
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.parse import AudioProcessorItems

from sensorium.model_adapters.audio_model import AudioModel
from sensorium.model_adapters.audio_models import audio_model

__all__ = ["hears"]


def hears(name: str) -> Any:
    """Decorate a subclass of vLLM's model: its sounds keep to the entry called `name`."""
    entry = audio_model(name)
    assert entry is not None, name

    def decorate(model: Any) -> Any:
        theirs = model._processor_factory
        info = type(f"Hearing{theirs.info.__name__}", (_Hearing, theirs.info), {"entry": entry})
        register = MULTIMODAL_REGISTRY.register_processor(
            theirs.processor, info=info, dummy_inputs=theirs.dummy_inputs
        )
        return register(model)

    return decorate


class _Hearing:
    """Goes before vLLM's processing info."""

    entry: AudioModel

    def parse_mm_data(self, mm_data: Any, *, validate: bool = True) -> Any:
        """As vLLM's; raises VLLMValidationError for a sound that the model would not hear whole."""
        items = super().parse_mm_data(mm_data, validate=validate)  # type: ignore[misc]
        sounds = items.get("audio")
        if validate and isinstance(sounds, AudioProcessorItems):
            self._check(sounds)
        return items

    def _check(self, sounds: Any) -> None:
        # The parser has brought every sound to this rate.
        rate = self.data_parser.audio_resampler.target_sr  # type: ignore[attr-defined]
        for number, samples in enumerate(sounds.data):
            if samples is None:
                continue  # it was sent before and is known by its name
            said = self.entry.too_long(samples.shape[-1] / rate)
            if said is not None:
                raise VLLMValidationError(f"Sound {number + 1} is too long: {said}")
