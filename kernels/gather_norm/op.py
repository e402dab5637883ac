"""The operators `sensorium::gather_norm` and `sensorium::gather_norm_fp8`."""

from __future__ import annotations

from typing import Literal

import torch

from sensorium.kernels import runtime
from sensorium.kernels.gather_norm import naive
from sensorium.kernels.library import register
from sensorium.kernels.pack_project import pack_rows
from sensorium.kernels.selection import Choice, Problem

__all__ = ["Norm", "gather_norm", "gather_norm_fp8"]

Norm = Literal["none", "layer", "rms"]
_ARGUMENTS = (
    "(Tensor x, Tensor index, Tensor? weight, Tensor? bias, str norm, float eps, bool pool)"
)


def gather_norm(
    x: torch.Tensor,
    index: torch.Tensor,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    *,
    norm: Norm = "none",
    eps: float = 1e-6,
    pool: bool = False,
    each: bool = False,
) -> torch.Tensor:
    """Gather rows of `x` `[rows, width]` by `index` `[tokens, segments]` int32, then normalise.

    The segments of a token are joined to `[tokens, segments * width]` or, with `pool`, averaged to
    `[tokens, width]`. The norm runs over the token's whole row, or with `each` over every segment
    by itself. -1 in the index is a row of zeros. Weight and bias have the length of what is
    normalised. The arithmetic is float32; the result has the dtype of `x`. Without norm and pool
    it is `pack_rows`. Raises ValueError for shapes that do not fit.
    """
    tokens, segments = index.shape
    width = x.shape[-1] * (1 if pool else segments)
    if not pool and norm == "none" and weight is None and bias is None:
        return pack_rows(x, index.reshape(-1)).view(tokens, width)
    if each and not pool:
        index = index.reshape(-1, 1)
    out: torch.Tensor = _GATHER_NORM(x, index.contiguous(), weight, bias, norm, eps, pool)
    return out.view(tokens, width)


def gather_norm_fp8(
    x: torch.Tensor,
    index: torch.Tensor,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    *,
    norm: Norm = "none",
    eps: float = 1e-6,
    pool: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `gather_norm`, quantised to e4m3 with one float32 scale a token: `(values, scales)`."""
    values, scales = _GATHER_NORM_FP8(x, index.contiguous(), weight, bias, norm, eps, pool)
    return values, scales


def _check(
    x: torch.Tensor,
    index: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    norm: str,
    pool: bool,
) -> int:
    """The width of the result; raises ValueError for what does not fit together."""
    if x.dim() != 2 or index.dim() != 2 or index.dtype != torch.int32:
        raise ValueError(
            f"gather_norm takes rows [rows, width] and an int32 index [tokens, segments], got "
            f"{list(x.shape)} and {index.dtype} {list(index.shape)}"
        )
    if norm not in {"none", "layer", "rms"}:
        raise ValueError(f"got norm {norm!r}; allowed: none, layer, rms")
    width: int = x.shape[1] * (1 if pool else index.shape[1])
    for vector in (weight, bias):
        if vector is not None and tuple(vector.shape) != (width,):
            raise ValueError(f"weight and bias must have shape [{width}], got {list(vector.shape)}")
    return width


def _choose(
    x: torch.Tensor, index: torch.Tensor, norm: str, pool: bool, fp8: bool
) -> tuple[Problem, Choice]:
    variant = norm + ("+pool" if pool else "") + ("+fp8" if fp8 else "")
    sizes = (index.shape[1], x.shape[1])
    dtype = str(x.dtype).removeprefix("torch.")
    problem = Problem("gather_norm", index.shape[0], sizes, dtype, variant)
    return problem, runtime.choose(problem, x.device)


def _run(
    x: torch.Tensor,
    index: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    norm: str,
    eps: float,
    pool: bool,
) -> torch.Tensor:
    width = _check(x, index, weight, bias, norm, pool)
    problem, choice = _choose(x, index, norm, pool, fp8=False)
    if choice.backend == "reference":
        return naive.gather_norm(x, index, weight, bias, norm, eps, pool).to(x.dtype)
    from sensorium.kernels.gather_norm.triton import launch

    out = x.new_empty(index.shape[0], width)
    rows = x.contiguous()
    for config in runtime.configurations(problem, choice, x.device):
        launch(rows, index, weight, bias, norm, eps, pool, out, None, config)
    return out


def _run_fp8(
    x: torch.Tensor,
    index: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    norm: str,
    eps: float,
    pool: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    width = _check(x, index, weight, bias, norm, pool)
    problem, choice = _choose(x, index, norm, pool, fp8=True)
    if choice.backend == "reference":
        rows = naive.gather_norm(x, index, weight, bias, norm, eps, pool)
        return naive.quantise_rows(rows.float())
    from sensorium.kernels.gather_norm.triton import launch

    out = x.new_empty(index.shape[0], width, dtype=torch.float8_e4m3fn)
    scale = x.new_empty(index.shape[0], dtype=torch.float32)
    rows = x.contiguous()
    for config in runtime.configurations(problem, choice, x.device):
        launch(rows, index, weight, bias, norm, eps, pool, out, scale, config)
    return out, scale


def _fake(
    x: torch.Tensor,
    index: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    norm: str,
    eps: float,
    pool: bool,
) -> torch.Tensor:
    return x.new_empty(index.shape[0], _check(x, index, weight, bias, norm, pool))


def _fake_fp8(
    x: torch.Tensor,
    index: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    norm: str,
    eps: float,
    pool: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    width = _check(x, index, weight, bias, norm, pool)
    values = x.new_empty(index.shape[0], width, dtype=torch.float8_e4m3fn)
    return values, x.new_empty(index.shape[0], dtype=torch.float32)


_GATHER_NORM = register(f"gather_norm{_ARGUMENTS} -> Tensor", _run, _fake)
_GATHER_NORM_FP8 = register(f"gather_norm_fp8{_ARGUMENTS} -> (Tensor, Tensor)", _run_fp8, _fake_fp8)
