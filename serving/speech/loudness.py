"""How loud a recording is where, and whether anything changes there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sensorium.serving.speech.features import HOP, Samples

__all__ = ["LEAST_CHANGE", "decibels", "quiet_below", "steady"]

# Speech rises and falls by 20 dB and more; even noise ten times as strong leaves more than this.
LEAST_CHANGE = 3.0
_BLOCK = 10  # frames, 0.1 s: longer than a period of any hum
_FEWEST = 5
_QUIETER = 25.0  # decibels below loud speech
# Noise that is always there, and how far below loud speech it must be for pauses to stand out.
_ABOVE_NOISE = 3.0
_LOUDER_THAN_NOISE = 10.0


def decibels(samples: Samples, first: int, end: int, block: int = 1) -> NDArray[np.float64]:
    """The level of each `block` frames between two frames, over that of one step of 16 bits."""
    count = (end - first) // block
    sound = samples[first * HOP : (first + count * block) * HOP].astype(np.float64)
    return 10 * np.log10(np.square(sound.reshape(count, -1)).mean(1) + 1.0) if count else sound


def quiet_below(levels: NDArray[np.float64]) -> float:
    """The level up to which nobody speaks: far below loud speech, or hardly above the noise."""
    noise, loud = np.percentile(levels, (5, 90))
    quiet = float(loud) - _QUIETER
    if loud - noise < _LOUDER_THAN_NOISE:
        return quiet
    return max(quiet, float(noise) + _ABOVE_NOISE)


def steady(samples: Samples, first: int, end: int) -> bool:
    """Whether the loudness never changes between two frames: silence, hum or noise, no speech.

    Whisper makes words of such sound now and then ("you" for silence). Less than half a second is
    not judged unless it is silent altogether.
    """
    levels = decibels(samples, first, end, _BLOCK)
    if len(levels) < _FEWEST:
        return not samples[first * HOP : end * HOP].any()
    quiet, loud = np.percentile(levels, (2, 98))
    return bool(loud - quiet < LEAST_CHANGE)
