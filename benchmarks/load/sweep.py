"""Levels to run one after the other, given beforehand or found by going up to saturation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sensorium.benchmarks.load.runner import Level, LevelRun

__all__ = ["Climb", "is_saturated"]

_GAIN = 1.05
_KEPT = 0.9
_MOST_LEVELS = 12


def is_saturated(runs: Sequence[LevelRun]) -> bool:
    """Whether more load has stopped to bring more answers.

    Open loop: fewer than 90 % of the rate came through. Closed loop: twice the concurrency brought
    less than 5 % more answers a second.
    """
    last = runs[-1]
    if last.level.arrivals is not None:
        return _rate(last) < _KEPT * last.level.arrivals.rate
    return len(runs) > 1 and _rate(last) < _GAIN * _rate(runs[-2])


def _rate(run: LevelRun) -> float:
    return sum(record.ok for record in run.records) / run.seconds if run.seconds else 0.0


class Climb:
    """Doubles the load of a first level until the server is saturated."""

    def __init__(self, first: Level) -> None:
        self._next = first
        self._runs: list[LevelRun] = []

    def levels(self) -> Iterator[Level]:
        """The next level, as long as the last one passed to `add` was not saturated."""
        while len(self._runs) < _MOST_LEVELS:
            yield self._next
            if not self._runs or is_saturated(self._runs):
                return
            self._next = _doubled(self._next)

    def add(self, run: LevelRun) -> None:
        """Tell how the level went."""
        self._runs.append(run)


def _doubled(level: Level) -> Level:
    if level.arrivals is not None:
        return replace(level, arrivals=replace(level.arrivals, rate=2 * level.arrivals.rate))
    return replace(level, concurrency=2 * (level.concurrency or 1))
