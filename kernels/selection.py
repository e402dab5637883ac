"""Which implementation runs an operator: a pure function of the problem, the device and the mode.

Nothing here imports torch or Triton, so that the command line can read the modes and tests can try
every device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = [
    "DEFAULTS",
    "MODES",
    "Choice",
    "Device",
    "KernelUnavailableError",
    "Pinned",
    "Problem",
    "e4m3_obstacle",
    "select",
]

MODES = ("auto", "triton", "reference")

# Configurations that compile without spills for sm_80, sm_90 and gfx942 (tests/kernels hold that).
DEFAULTS: Mapping[str, Mapping[str, int]] = {
    "gather_norm": {"num_warps": 8},
    "pack_rows": {"block_rows": 4, "block_columns": 1024, "num_warps": 4},
    "embed_merge": {"block_columns": 1024, "num_warps": 4},
    "ldpv2_tail": {"block_columns": 64, "num_warps": 4},
}
_DTYPES = ("float32", "float16", "bfloat16")
# A program holds one output row in registers; a row of 16 Ki elements takes 128 of 255 at 8 warps.
_LONGEST_ROW = 16384
_FP8_CAPABILITY = (8, 9)


class KernelUnavailableError(RuntimeError):
    """Triton was demanded where it cannot run."""


@dataclass(frozen=True)
class Device:
    """What an operator runs on. `kind` is cpu, cuda or hip; `interpreted` is for tests."""

    kind: str
    name: str = ""
    capability: tuple[int, int] = (0, 0)
    triton: bool = True
    interpreted: bool = False


@dataclass(frozen=True)
class Problem:
    """One call: `rows` vary from batch to batch, `sizes` and `variant` are fixed by the model.

    `sizes` is `(segments, width)` for gather_norm, `(width,)` for pack_rows and embed_merge,
    `(grid, width)` for ldpv2_tail.
    """

    op: str
    rows: int
    sizes: tuple[int, ...]
    dtype: str
    variant: str = ""


@dataclass(frozen=True)
class Pinned:
    """What was measured on a device: the better implementation up to a number of rows."""

    op: str
    sizes: tuple[int, ...]
    dtype: str
    variant: str
    rows: int
    backend: str
    config: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """The implementation (`triton` or `reference`) and why; `fallback` marks a second choice."""

    backend: str
    reason: str
    config: Mapping[str, int] = field(default_factory=dict)
    fallback: bool = False


def select(problem: Problem, device: Device, mode: str, pinned: Sequence[Pinned] = ()) -> Choice:
    """Choose.

    `auto` runs Triton where it was measured on this very device and won; elsewhere the reference,
    and on a GPU that counts as a fallback. `triton` runs Triton with the pinned or the default
    configuration, and raises KernelUnavailableError where it cannot. `reference` never runs Triton.
    """
    if mode not in MODES:
        raise ValueError(f"got projection kernels {mode!r}; allowed: {', '.join(MODES)}")
    if mode == "reference":
        return Choice("reference", "asked for")
    obstacle = _obstacle(problem, device)
    measured = _nearest(problem, pinned)
    if mode == "triton":
        return _demanded(problem, obstacle, measured)
    if device.kind == "cpu" and not device.interpreted:
        return Choice("reference", "the CPU runs the reference")
    if obstacle is not None or measured is None:
        return Choice("reference", obstacle or "not measured on this device", fallback=True)
    if measured.backend == "reference":
        return Choice("reference", "measured: torch is faster")
    return Choice("triton", "measured: faster than torch", measured.config)


def _demanded(problem: Problem, obstacle: str | None, measured: Pinned | None) -> Choice:
    if obstacle is not None:
        raise KernelUnavailableError(
            f"{problem.op}: Triton was asked for, but {obstacle}; use auto or reference"
        )
    if measured is not None and measured.backend == "triton":
        return Choice("triton", "asked for", measured.config)
    return Choice("triton", "asked for", DEFAULTS[problem.op])


def _obstacle(problem: Problem, device: Device) -> str | None:
    """Why Triton cannot run this, or None."""
    if problem.op not in DEFAULTS:
        raise ValueError(f"unknown operator {problem.op!r}; known: {', '.join(DEFAULTS)}")
    if not device.triton:
        return "triton is not installed"
    if device.kind == "cpu" and not device.interpreted:
        return "the device is a CPU"
    if problem.dtype not in _DTYPES:
        return f"{problem.dtype} is not one of {', '.join(_DTYPES)}"
    return _row_obstacle(problem, device) if problem.op == "gather_norm" else None


def _row_obstacle(problem: Problem, device: Device) -> str | None:
    segments, width = problem.sizes
    pooled = "pool" in problem.variant
    length = _power_of_two(width) * (1 if pooled else _power_of_two(segments))
    if length > _LONGEST_ROW:
        return f"rows of {segments} x {width} do not fit into registers"
    if "fp8" in problem.variant and not _has_fp8(device):
        return "the device has no e4m3 numbers"
    return None


def e4m3_obstacle(device: Device, dtype: str, mode: str) -> str | None:
    """Why a projector cannot compute in e4m3, or None; the reference computes it anywhere."""
    if mode == "reference":
        return None
    if not _has_fp8(device):
        return (
            "the device has no e4m3 numbers, which NVIDIA GPUs have from compute capability 8.9 "
            "on; --projection-kernels reference computes them in torch on any device, slowly"
        )
    if dtype.removeprefix("torch.") not in ("bfloat16", "float16"):
        return f"the model computes in {dtype}; give --dtype bfloat16 or float16"
    return None


def _has_fp8(device: Device) -> bool:
    return device.interpreted or (device.kind == "cuda" and device.capability >= _FP8_CAPABILITY)


def _nearest(problem: Problem, pinned: Sequence[Pinned]) -> Pinned | None:
    """The entry for the fewest rows that still covers the problem, or else for the most."""
    same = [
        entry
        for entry in pinned
        if (entry.op, entry.sizes, entry.dtype, entry.variant)
        == (problem.op, problem.sizes, problem.dtype, problem.variant)
    ]
    covering = [entry for entry in same if entry.rows >= problem.rows]
    if covering:
        return min(covering, key=lambda entry: entry.rows)
    return max(same, key=lambda entry: entry.rows, default=None)


def _power_of_two(number: int) -> int:
    return 1 << max(0, number - 1).bit_length()
