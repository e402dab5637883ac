"""The operator `sensorium::ldpv2_tail`."""

from __future__ import annotations

import torch

from sensorium.kernels import runtime
from sensorium.kernels.ldpv2_tail import naive
from sensorium.kernels.library import register
from sensorium.kernels.selection import Problem

__all__ = ["ldpv2_tail"]


def ldpv2_tail(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, grid: int
) -> torch.Tensor:
    """Pool 2x2, convolve 3x3 by channel and add: `[images * (grid / 2)**2, width]`.

    `x` is `[images * grid**2, width]` with an even grid, `weight` `[width, 1, 3, 3]`, `bias`
    `[width]`. Raises ValueError for shapes that do not fit.
    """
    out: torch.Tensor = _LDPV2_TAIL(x, weight, bias, grid)
    return out


def _check(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, grid: int) -> None:
    if grid < 2 or grid % 2 or x.dim() != 2 or x.shape[0] % (grid * grid):
        raise ValueError(
            f"ldpv2_tail takes images of an even grid, got rows {list(x.shape)}, grid {grid}"
        )
    width = x.shape[1]
    if tuple(weight.shape) != (width, 1, 3, 3) or tuple(bias.shape) != (width,):
        raise ValueError(
            f"rows of {width} need weight [{width}, 1, 3, 3] and bias [{width}], "
            f"got {list(weight.shape)} and {list(bias.shape)}"
        )


def _run(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, grid: int) -> torch.Tensor:
    _check(x, weight, bias, grid)
    dtype = str(x.dtype).removeprefix("torch.")
    problem = Problem("ldpv2_tail", x.shape[0] // 4, (grid, x.shape[1]), dtype)
    choice = runtime.choose(problem, x.device)
    if choice.backend == "reference":
        return naive.ldpv2_tail(x, weight, bias, grid)
    from sensorium.kernels.ldpv2_tail.triton import launch

    out = _fake(x, weight, bias, grid)
    for config in runtime.configurations(problem, choice, x.device):
        launch(x.contiguous(), weight.contiguous(), bias, grid, out, config)
    return out


def _fake(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, grid: int) -> torch.Tensor:
    _check(x, weight, bias, grid)
    return x.new_empty(x.shape[0] // 4, x.shape[1])


_LDPV2_TAIL = register(
    "ldpv2_tail(Tensor x, Tensor weight, Tensor bias, int grid) -> Tensor", _run, _fake
)
