"""Gemma 3n: vLLM's class, whose sounds are measured before they would be cut."""

from __future__ import annotations

from vllm.model_executor.models.gemma3n_mm import Gemma3nForConditionalGeneration

from sensorium.model_adapters.engine.native.hearing import hears

__all__ = ["Gemma3n"]


@hears("gemma-3n")
class Gemma3n(Gemma3nForConditionalGeneration):
    """Gemma 3n with ears."""
