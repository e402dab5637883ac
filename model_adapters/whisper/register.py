"""Puts our Whisper in the place of vLLM's; called in each of vLLM's processes."""

from __future__ import annotations

__all__ = ["register"]


def register() -> None:
    """Register the class by name, so that torch is imported where it is needed only.

    For whoever does not name windows it is vLLM's own model. Harmless when called again.
    """
    from vllm.model_executor.models.registry import ModelRegistry

    whisper = "sensorium.model_adapters.whisper.model:SensoriumWhisper"
    ModelRegistry.register_model("WhisperForConditionalGeneration", whisper)
