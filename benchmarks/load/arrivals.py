"""Intended send times of an open loop.

Arrivals of rate 1 are drawn first and then mapped through the inverse of the integrated rate, so
that every process can ramp (time rescaling of a point process). The gaps at rate 1 have mean 1:
constant, exponential (Poisson), or gamma with shape `burstiness` (1 is Poisson, less is burstier).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["PROCESSES", "Arrivals"]

PROCESSES = ("constant", "poisson", "gamma")


@dataclass(frozen=True)
class Arrivals:
    """Requests a second and how they are spread.

    With `ramp_to`, the rate changes linearly from `rate` to that over `ramp_seconds`, then stays.
    """

    rate: float
    process: str = "poisson"
    burstiness: float = 1.0
    ramp_to: float | None = None
    ramp_seconds: float = 0.0
    seed: int = 0

    def times(self) -> Iterator[float]:
        """Seconds since the start, without end."""
        source = random.Random(self.seed)
        total = 0.0
        while True:
            yield self._inverse(total)
            total += self._gap(source)

    def _gap(self, source: random.Random) -> float:
        if self.process == "constant":
            return 1.0
        if self.process == "poisson":
            return source.expovariate(1.0)
        return source.gammavariate(self.burstiness, 1 / self.burstiness)

    def _inverse(self, count: float) -> float:
        """The time by which `count` requests are due: the root of the integrated rate."""
        if self.ramp_to is None or self.ramp_seconds <= 0 or self.ramp_to == self.rate:
            return count / self.rate
        slope = (self.ramp_to - self.rate) / self.ramp_seconds
        in_ramp = (self.rate + self.ramp_to) / 2 * self.ramp_seconds
        if count >= in_ramp:
            return self.ramp_seconds + (count - in_ramp) / self.ramp_to
        return (math.sqrt(self.rate**2 + 2 * slope * count) - self.rate) / slope
