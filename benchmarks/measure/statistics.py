"""Summaries of latencies with confidence intervals; docs/benchmarking.md, "Intervals".

Requests that follow each other share a queue, so their latencies are not independent. The interval
of a mean is therefore a circular block bootstrap over requests in the order they were due (blocks
of ceil(n ** (1/3)) requests); gaps between tokens are resampled with their request. Intervals of
percentiles are order statistics (binomial), and None where the sample is too small for one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np

__all__ = ["Ratio", "Summary", "mean_interval", "ratio_of_means", "summarize"]

_RESAMPLES = 2000
_Z = 1.959964
Interval = tuple[float, float]


class Summary(TypedDict):
    """Statistics of one measure; `ci95` is the interval of the mean."""

    n: int
    mean: float
    std: float
    min: float
    max: float
    p50: float
    p90: float
    p99: float
    ci95: Interval | None
    p50_ci95: Interval | None
    p90_ci95: Interval | None
    p99_ci95: Interval | None


class Ratio(TypedDict):
    """B over A, with a 95 % interval."""

    ratio: float
    ci95: Interval | None


def summarize(per_request: Sequence[Sequence[float]], *, seed: int = 0) -> Summary | None:
    """Summary of the values of each request, requests in the order they were due.

    None when there is no value at all. The unit is the values' own.
    """
    groups = [np.asarray(values, dtype=np.float64) for values in per_request if len(values)]
    if not groups:
        return None
    values = np.sort(np.concatenate(groups))
    p50, p90, p99 = (float(p) for p in np.percentile(values, [50, 90, 99]))
    return Summary(
        n=len(values),
        mean=float(values.mean()),
        std=float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        min=float(values[0]),
        max=float(values[-1]),
        p50=p50,
        p90=p90,
        p99=p99,
        ci95=mean_interval(groups, seed=seed),
        # Gaps of one request are no independent draws: count requests, not gaps.
        p50_ci95=_percentile_interval(values, 0.50, len(groups)),
        p90_ci95=_percentile_interval(values, 0.90, len(groups)),
        p99_ci95=_percentile_interval(values, 0.99, len(groups)),
    )


def mean_interval(groups: Sequence[np.ndarray[Any, Any]], *, seed: int = 0) -> Interval | None:
    """95 % interval of the mean over all values, blocks of whole groups resampled.

    None for fewer than eight groups: resampling so few says nothing.
    """
    n = len(groups)
    if n < 8:
        return None
    block = math.ceil(n ** (1 / 3))
    sums = np.array([group.sum() for group in groups])
    counts = np.array([len(group) for group in groups], dtype=np.float64)
    starts = np.random.default_rng(seed).integers(0, n, size=(_RESAMPLES, math.ceil(n / block)))
    means = _block_sums(sums, block)[starts].sum(1) / _block_sums(counts, block)[starts].sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _block_sums(values: np.ndarray[Any, Any], block: int) -> np.ndarray[Any, Any]:
    """The sum of the `block` values that begin at each place, going round at the end."""
    total = np.concatenate([[0.0], np.cumsum(np.concatenate([values, values[: block - 1]]))])
    return np.asarray(total[block:] - total[:-block])


def _percentile_interval(
    ordered: np.ndarray[Any, Any], share: float, independent: int
) -> Interval | None:
    """Order statistics whose ranks are the 2.5 % and 97.5 % points of Binomial(n, share).

    By the normal approximation, for a sample of `independent` draws; None where either rank falls
    off the sample.
    """
    spread = _Z * math.sqrt(share * (1 - share) / independent)
    low, high = share - spread, share + spread
    if low <= 0 or high * independent > independent - 1:
        return None
    first, last = np.quantile(ordered, [low, high])
    return float(first), float(last)


def ratio_of_means(a: Summary, b: Summary) -> Ratio:
    """Mean of `b` over mean of `a`; the interval is the delta method's, on the logarithm.

    Standard errors are read back from the intervals of the means.
    """
    if a["mean"] <= 0 or b["mean"] <= 0:
        return Ratio(ratio=math.nan, ci95=None)
    ratio = b["mean"] / a["mean"]
    if a["ci95"] is None or b["ci95"] is None:
        return Ratio(ratio=ratio, ci95=None)
    errors = [(s["ci95"][1] - s["ci95"][0]) / (2 * _Z * s["mean"]) for s in (a, b) if s["ci95"]]
    spread = _Z * math.hypot(*errors)
    return Ratio(ratio=ratio, ci95=(ratio * math.exp(-spread), ratio * math.exp(spread)))
