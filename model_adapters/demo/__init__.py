"""The embedded model `demo`: a very small model that sees, watches and hears a very small world.

It knows coloured shapes, short printed words, four-second clips of one moving shape, simple tones
and a few dozen spoken words. The rest of this package is how it was made: seeded renderers that
know the true answers, training, evaluation and export (`python -m sensorium.model_adapters.demo`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["CHECKPOINT", "SAMPLES"]

CHECKPOINT: Final = Path(__file__).resolve().parent / "checkpoint"
"""Folder with the weights, tokenizer and configuration, as vLLM and transformers load them."""

SAMPLES: Final = Path(__file__).resolve().parent / "samples"
"""Folder with example pictures, a clip and sounds that the model can answer about."""
