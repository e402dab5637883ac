"""Features of square pictures to projected tokens of images and videos, as an arrangement says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

from sensorium.kernels.pack_project import pack_project, plan_packing
from sensorium.model_adapters.layouts import NEWLINE, Arrangement, Pool

__all__ = ["project"]


def project(
    features: torch.Tensor,
    projector: Callable[[torch.Tensor], torch.Tensor],
    arrangements: Sequence[Arrangement],
    newline: torch.Tensor | None,
    *,
    by_row: bool,
) -> list[torch.Tensor]:
    """One `[tokens, hidden]` an image or video from `[squares, rows, width]` of all in a row.

    A projector that works `by_row` gets only the rows that become tokens, in their order; another
    gets whole squares, and so do all where rows are pooled afterwards. `newline` is `[hidden]`.
    """
    if by_row and not any(arrangement.pools for arrangement in arrangements):
        taken = [
            (torch.from_numpy(arrangement.rows), arrangement.squares * features.shape[1])
            for arrangement in arrangements
        ]
        plan = plan_packing(taken, features.device)
        return pack_project(features.flatten(0, 1), plan, projector, newline)
    projected = projector(features)
    packed, first = [], 0
    for arrangement in arrangements:
        last = first + arrangement.squares
        packed.append(_pack_one(projected[first:last].flatten(0, 1), arrangement, newline))
        first = last
    return packed


def _pack_one(
    table: torch.Tensor, arrangement: Arrangement, newline: torch.Tensor | None
) -> torch.Tensor:
    parts = [table, *(_pooled(table, pool) for pool in arrangement.pools)]
    if newline is not None:
        parts.append(newline.to(table)[None])
    rows = torch.from_numpy(arrangement.rows)
    whole = torch.cat(parts) if len(parts) > 1 else table
    # The newline is the last row.
    rows = torch.where(rows == NEWLINE, whole.shape[0] - 1, rows)
    return whole[rows.to(whole.device)]


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
