"""One case, every way to compute it: checked first, then timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from sensorium.benchmarks.kernels.ceilings import Ceilings
from sensorium.benchmarks.kernels.counting import count
from sensorium.benchmarks.kernels.measuring import host_microseconds, microseconds
from sensorium.kernels import runtime
from sensorium.kernels.accuracy import relative_error
from sensorium.kernels.cases import Case, Maker, Sizes, Work, bytes_of

__all__ = ["Plan", "Row", "compare"]

Call = Callable[[Any], torch.Tensor]
# Enough copies of the input that a GPU's cache does not hold them all.
_ROTATED_BYTES = 256 << 20
_MOST_COPIES = 8


@dataclass(frozen=True)
class Plan:
    """How to run: on which device and dtype, tiny or real sizes, with torch.compile or without."""

    device: str
    dtype: torch.dtype
    tiny: bool
    compiled: bool
    repeats: int = 15

    def sizes(self, case: Case) -> Sizes:
        """The sizes of a case in this plan."""
        return case.tiny if self.tiny else case.real


@dataclass(frozen=True)
class Row:
    """One way to compute one case at one size. A wrong result has an error and no times; so has a
    failure. `captured` says whether the time is that of replays of a graph.
    """

    case: str
    kind: str
    variant: str
    sizes: Sizes
    error: float
    allowed: float
    microseconds: float | None
    host_microseconds: float | None
    launches: int | None
    kernels: int | None
    bytes: int | None
    floor_microseconds: float
    flops: int
    captured: bool = True
    failure: str = ""

    @property
    def passed(self) -> bool:
        """Whether the result was right."""
        return self.error < self.allowed


def compare(
    case: Case, plan: Plan, ceilings: Ceilings, *, sizes: Sizes | None = None, seed: int = 0
) -> Iterator[Row]:
    """Every variant of a case, on the same seeded inputs; nothing is timed that is not right.

    At the plan's sizes unless others are given.
    """
    sizes = plan.sizes(case) if sizes is None else sizes
    work = case.build(sizes, Maker(plan.dtype, plan.device, seed=seed))
    exact = case.build(sizes, Maker(plan.dtype, plan.device, seed=seed, exact=True))
    expected = exact.eager(exact.x)
    del exact
    for name, call, mode in _variants(work, plan):
        with runtime.forced(mode):
            yield _row(case, sizes, name, call, work, expected, plan, ceilings)


def _variants(work: Work, plan: Plan) -> Iterator[tuple[str, Call, str]]:
    yield "eager", work.eager, "reference"
    if plan.compiled:
        torch._dynamo.reset()
        # Without its own graphs: the replays that are timed capture all variants alike.
        mode = "max-autotune-no-cudagraphs"
        yield "compiled", torch.compile(work.eager, mode=mode, dynamic=False), "reference"
    yield "reference", work.ours, "reference"
    device = runtime.describe_device(torch.device(plan.device))
    runs_triton = device.triton and (device.kind != "cpu" or device.interpreted)
    if runs_triton:
        yield "triton", work.ours, "triton"
    for name, call in work.others.items():
        yield name, call, "triton" if runs_triton else "reference"


def _row(
    case: Case,
    sizes: Sizes,
    variant: str,
    call: Call,
    work: Work,
    expected: torch.Tensor,
    plan: Plan,
    ceilings: Ceilings,
) -> Row:
    allowed = work.allowed.get(variant, case.allowed(plan.dtype))
    error, failure = float("inf"), ""
    captured = work.eager_captured if variant in ("eager", "compiled") else work.captured
    times: Mapping[str, Any] = dict.fromkeys(
        ("microseconds", "host_microseconds", "launches", "kernels", "bytes")
    )
    try:
        error = relative_error(call(work.x), expected)
        if error < allowed:
            times = _times(call, work, plan, captured, counted=variant != "compiled")
    except Exception as raised:  # noqa: BLE001 - one variant must not cost the others' numbers
        error, failure = float("inf"), f"{type(raised).__name__}: {raised}"[:300]
    return Row(
        case=case.name,
        kind=case.op,
        variant=variant,
        sizes=sizes,
        error=error,
        allowed=allowed,
        floor_microseconds=ceilings.floor_microseconds(work.flops, work.moved),
        flops=work.flops,
        captured=captured,
        failure=failure,
        **times,
    )


def _times(call: Call, work: Work, plan: Plan, captured: bool, *, counted: bool) -> dict[str, Any]:
    copies = 1 if plan.tiny else min(_MOST_COPIES, 1 + _ROTATED_BYTES // bytes_of(work.x))
    inputs = [work.x, *(work.x.clone() for _ in range(copies - 1))]
    # A compiled graph calls its kernels without torch's dispatcher, so nothing could be counted.
    seen = count(call, work.x) if counted else None
    return {
        "microseconds": microseconds(call, inputs, repeats=plan.repeats, captured=captured),
        "host_microseconds": host_microseconds(call, work.x, calls=5 if plan.tiny else 200),
        "launches": seen and seen.launches,
        "kernels": seen and seen.kernels,
        "bytes": seen and seen.bytes,
    }
