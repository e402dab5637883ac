"""Features of square pictures to tokens of images and videos, as an arrangement says."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from sensorium.model_adapters.layouts import NEWLINE, Arrangement, Pool

__all__ = ["pack"]


def pack(
    features: torch.Tensor, arrangements: Sequence[Arrangement], newline: torch.Tensor | None
) -> list[torch.Tensor]:
    """One `[tokens, hidden]` an image from `[squares, rows, hidden]` of all images in a row.

    `newline` is `[hidden]`.
    """
    packed, first = [], 0
    for arrangement in arrangements:
        last = first + arrangement.squares
        packed.append(_pack_one(features[first:last].flatten(0, 1), arrangement, newline))
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
