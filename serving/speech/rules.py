"""How one window's tokens may be chosen; travels with a request into the engine.

Light: the engine's side is `sensorium.serving.engine.whisper_sampling`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["ARGUMENT", "SamplingRules", "no_speech_probability", "share_of_silence"]

# The key of `SamplingParams.extra_args`.
ARGUMENT = "sensorium_whisper"


@dataclass(frozen=True)
class SamplingRules:
    """Rules for the tokens of one request.

    `forced` is what the first tokens may be, one list a step: `[[en, de, fr], [transcribe]]` lets
    the model choose a language and then writes the task. `timestamps` is the id of `<|0.00|>`;
    without `stamped` no timestamp may be written. `latest_start` is the highest first timestamp in
    steps of 20 ms. A text that has just closed a segment may not end before the step `until`. A
    `temperature` of 0 takes the likeliest token.
    """

    forced: list[list[int]]
    no_speech: int
    end: int
    timestamps: int
    suppressed: list[int]
    blank: list[int]
    stamped: bool = True
    latest_start: int = 50
    until: int = 0
    temperature: float = 0.0
    seed: int = 0

    def arguments(self) -> dict[str, Any]:
        """As `SamplingParams.extra_args`."""
        return {ARGUMENT: asdict(self)}

    @classmethod
    def read(cls, extra: Mapping[str, Any] | None) -> SamplingRules | None:
        """The rules of a request, or None for one that has none."""
        given = (extra or {}).get(ARGUMENT)
        return None if given is None else cls(**given)


def share_of_silence(chosen: float) -> float:
    """How much of a row's probability stands for `<|nospeech|>` being certain.

    The row is what the first token is chosen from; `chosen` is the probability of that token, which
    stays the highest.
    """
    return min(chosen, 1.0 - chosen) / 2


def no_speech_probability(chosen: float, no_speech: float) -> float:
    """The probability of silence, from two log-probabilities that the engine gave at its first
    step: that of the token chosen, and that of `<|nospeech|>`."""
    share = share_of_silence(math.exp(chosen))
    return min(1.0, math.exp(no_speech) / share) if share > 0 else 0.0
