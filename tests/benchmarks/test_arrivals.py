"""Intended send times."""

from __future__ import annotations

from itertools import islice, pairwise
from statistics import mean, stdev

import pytest

from sensorium.benchmarks.load.arrivals import Arrivals


def gaps(arrivals: Arrivals, count: int = 20_000) -> list[float]:
    """The first gaps between requests."""
    return [after - before for before, after in pairwise(islice(arrivals.times(), count))]


def test_constant_gaps_are_exact() -> None:
    times = list(islice(Arrivals(4.0, "constant").times(), 5))
    assert times == [0.0, 0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize(
    ("process", "burstiness", "variation"),
    [("poisson", 1.0, 1.0), ("gamma", 4.0, 0.5), ("gamma", 0.25, 2.0)],
)
def test_rate_and_burstiness_are_as_told(process: str, burstiness: float, variation: float) -> None:
    found = gaps(Arrivals(50.0, process, burstiness, seed=3))
    assert mean(found) == pytest.approx(1 / 50, rel=0.05)
    assert stdev(found) / mean(found) == pytest.approx(variation, rel=0.06)


def test_equal_seeds_give_equal_times() -> None:
    first, again, other = (list(islice(Arrivals(1.0, seed=s).times(), 50)) for s in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(("start", "end"), [(2.0, 10.0), (10.0, 2.0)])
def test_a_ramp_sends_as_many_as_its_rate_adds_up_to(start: float, end: float) -> None:
    ramp = Arrivals(start, "constant", ramp_to=end, ramp_seconds=10.0)
    times = list(islice(ramp.times(), 200))
    assert sum(t < 10.0 for t in times) == pytest.approx((start + end) / 2 * 10, abs=1)
    half = start * 5 + (end - start) / 20 * 25
    assert sum(t < 5.0 for t in times) == pytest.approx(half, abs=1)
    late = [b - a for a, b in pairwise(times) if a > 10.0]
    assert late == pytest.approx([1 / end] * len(late))
    assert times == sorted(times)
