"""Pinned configurations: each operator timed in every candidate, against its torch reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import torch

from sensorium.benchmarks.kernels.comparison import Plan
from sensorium.benchmarks.kernels.measuring import microseconds
from sensorium.kernels import runtime
from sensorium.kernels.accuracy import relative_error
from sensorium.kernels.cases import Case, Maker, Sizes, Work
from sensorium.kernels.selection import Pinned, Problem

__all__ = ["candidates", "tune"]

_RANGES: Mapping[str, Mapping[str, Sequence[int]]] = {
    "gather_norm": {"num_warps": (2, 4, 8, 16)},
    "pack_rows": {"block_rows": (1, 4, 16), "block_columns": (512, 1024), "num_warps": (4,)},
    "embed_merge": {"block_columns": (512, 1024, 2048, 4096), "num_warps": (4,)},
    "ldpv2_tail": {"block_columns": (32, 64, 128), "num_warps": (4,)},
}
# Counts at which a batch may stand; other cases are measured at their own size alone.
_COUNTS = {
    "images": (1, 8, 64),
    "clips": (1, 8, 64),
    "patches": (1296, 10368, 41472),
    "tokens": (576, 4608, 36864),
}
# Faster by less than this is noise, and the reference needs no compilation.
_WORTH = 0.97


def candidates(op: str) -> Iterator[dict[str, int]]:
    """Every configuration of an operator that is tried."""
    ranges = _RANGES[op]
    for values in product(*ranges.values()):
        yield dict(zip(ranges, values, strict=True))


def tune(cases: Sequence[Case], plan: Plan) -> Iterator[Pinned]:
    """The better implementation of each case's operator at each count."""
    for case in cases:
        for sizes in _counts(case, plan):
            yield _best(case, sizes, plan)


def _counts(case: Case, plan: Plan) -> Iterator[Sizes]:
    sizes = plan.sizes(case)
    name = next(iter(sizes))
    for number in (sizes[name],) if plan.tiny else _COUNTS.get(name, (sizes[name],)):
        yield {**sizes, name: number}


def _best(case: Case, sizes: Sizes, plan: Plan) -> Pinned:
    work = case.build(sizes, Maker(plan.dtype, plan.device))
    with runtime.forced("reference"), runtime.recorded() as problems:
        expected = work.ours(work.x).clone()
        slowest = _time(work, plan)
    problem = problems[0]
    best, config = slowest * _WORTH, None
    for tried in candidates(case.op):
        time = _checked_time(work, tried, expected, plan, case.allowed(plan.dtype))
        if time is not None and time < best:
            best, config = time, tried
    return _pinned(problem, config)


def _checked_time(
    work: Work, config: Mapping[str, int], expected: torch.Tensor, plan: Plan, allowed: float
) -> float | None:
    """Microseconds, or None for a configuration whose result is wrong."""
    with runtime.forced("triton", config):
        error = relative_error(work.ours(work.x), expected)
        if not error < allowed:
            return None
        return _time(work, plan)


def _time(work: Work, plan: Plan) -> float:
    return microseconds(work.ours, [work.x], repeats=plan.repeats, captured=work.captured)


def _pinned(problem: Problem, config: Mapping[str, int] | None) -> Pinned:
    return Pinned(
        problem.op,
        problem.sizes,
        problem.dtype,
        problem.variant,
        problem.rows,
        "reference" if config is None else "triton",
        config or {},
    )
