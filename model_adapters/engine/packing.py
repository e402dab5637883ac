"""Features of square pictures to projected tokens of images and videos, as an arrangement says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from sensorium.kernels.fp8 import rows_for
from sensorium.kernels.pack_project import pack_project, plan_packing
from sensorium.model_adapters.layouts import Arrangement, Pool

__all__ = ["Halves", "project", "split"]

Step = Callable[[Any], torch.Tensor]


@dataclass(frozen=True)
class Halves:
    """A projector in two: `head` for whole squares, `tail` row by row for what becomes tokens.

    `first` is the layer that the tail gives its input to, where it has one.
    """

    head: Step | None
    tail: Step
    first: nn.Module


def split(projector: nn.Module, arrangements: Sequence[Arrangement], *, by_row: bool) -> Halves:
    """As much of a projector in the tail as pooling allows.

    A projector that does not work by row is all head. Without pools, one that does is all tail.
    Pools that weigh rows (all but `max`) can stand before the last linear layer instead of behind:
    weights that add up to one pass through it, bias and all. A GELU they do not pass.
    """
    pools = [pool for arrangement in arrangements for pool in arrangement.pools]
    if by_row and not pools:
        first = projector[0] if isinstance(projector, nn.Sequential) else projector
        return Halves(None, projector, first)
    if by_row and all(pool.mode != "max" for pool in pools):
        if not isinstance(projector, nn.Sequential):
            return Halves(None, projector, projector)
        last = projector[-1]
        if not isinstance(last, nn.LayerNorm):
            return Halves(projector[:-1], last, last)
    keep = nn.Identity()
    return Halves(projector, keep, keep)


def project(
    features: torch.Tensor,
    halves: Halves,
    arrangements: Sequence[Arrangement],
    newline: torch.Tensor | None,
) -> list[torch.Tensor]:
    """One `[tokens, hidden]` an image or video from `[squares, rows, width]` of all in a row.

    Rows are put into the order of their tokens before the tail of the projector. `newline` is
    `[hidden]`.
    """
    seen = features if halves.head is None else halves.head(features)
    pooled = any(arrangement.pools for arrangement in arrangements)
    tables: list[torch.Tensor] = []
    taken, first = [], 0
    for arrangement in arrangements:
        last = first + arrangement.squares
        table = seen[first:last].flatten(0, 1)
        parts = [table, *(_pooled(table, pool) for pool in arrangement.pools)]
        taken.append((torch.from_numpy(arrangement.rows), sum(len(part) for part in parts)))
        tables += parts
        first = last
    plan = plan_packing(taken, features.device)
    rows = torch.cat(tables) if pooled else seen.flatten(0, 1)
    return pack_project(rows, plan, halves.tail, newline, gather=rows_for(halves.first))


def _pooled(table: torch.Tensor, pool: Pool) -> torch.Tensor:
    """`[grids * rows * columns, hidden]` of the grids made smaller."""
    grids = table[torch.from_numpy(pool.rows).to(table.device)].permute(0, 3, 1, 2)
    if pool.mode == "bilinear":
        smaller = functional.interpolate(grids, pool.shape, mode="bilinear")
    elif pool.mode == "adaptive":
        smaller = functional.adaptive_avg_pool2d(grids, pool.shape)
    elif pool.mode == "average":
        smaller = functional.avg_pool2d(grids, pool.shape)
    else:
        smaller = functional.max_pool2d(grids, pool.shape)
    return smaller.permute(0, 2, 3, 1).flatten(0, 2)
