"""The operator `sensorium::pack_rows`, and projection of packed rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from sensorium.kernels import runtime
from sensorium.kernels.library import register
from sensorium.kernels.pack_project import naive
from sensorium.kernels.pack_project.plan import PackPlan
from sensorium.kernels.selection import Problem

__all__ = ["Gather", "pack_project", "pack_rows"]

Gather = Callable[[torch.Tensor, torch.Tensor], Any]
"""From features `[rows, width]` and a source `[tokens]` to what a projector takes."""


def pack_rows(x: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """Rows of `x` `[rows, width]` in the order of `source` `[tokens]` int32; -1 gives zeros.

    Raises ValueError for shapes that do not fit.
    """
    packed: torch.Tensor = _PACK_ROWS(x, source)
    return packed


def pack_project(
    features: torch.Tensor,
    plan: PackPlan,
    project: Callable[[Any], torch.Tensor],
    newline: torch.Tensor | None = None,
    *,
    gather: Gather = pack_rows,
) -> list[torch.Tensor]:
    """Project each image's kept feature rows; `[tokens, hidden]` an image.

    Packing first is exact for a projector that works row by row, and it neither projects rows that
    are thrown away nor moves rows at the language model's width. `features` is `[rows, width]`,
    `newline` `[hidden]` takes the places that the plan marks.
    """
    projected = project(gather(features, plan.source))
    if newline is not None:
        projected[plan.newlines] = newline.to(projected.dtype)
    return list(projected.split(plan.lengths))


def _check(x: torch.Tensor, source: torch.Tensor) -> None:
    if x.dim() != 2 or source.dim() != 1 or source.dtype != torch.int32:
        raise ValueError(
            f"pack_rows takes rows [rows, width] and an int32 source [tokens], got "
            f"{list(x.shape)} and {source.dtype} {list(source.shape)}"
        )


def _run(x: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    _check(x, source)
    dtype = str(x.dtype).removeprefix("torch.")
    problem = Problem("pack_rows", source.shape[0], (x.shape[1],), dtype)
    choice = runtime.choose(problem, x.device)
    if choice.backend == "reference":
        return naive.pack_rows(x, source)
    from sensorium.kernels.pack_project.triton import launch

    out = x.new_empty(source.shape[0], x.shape[1])
    for config in runtime.configurations(problem, choice, x.device):
        launch(x.contiguous(), source.contiguous(), out, config)
    return out


def _fake(x: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    _check(x, source)
    return x.new_empty(source.shape[0], x.shape[1])


_PACK_ROWS = register("pack_rows(Tensor x, Tensor source) -> Tensor", _run, _fake)
