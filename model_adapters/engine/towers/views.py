"""A picture seen as a whole and in parts, the features of both side by side.

Facts: vikhyat/moondream, moondream/vision_encoder.py of 2024-05-20 (`VisionEncoder.forward`): the
whole is the grid of squares, made small without antialiasing; the parts' features are stitched and
made small in the same way; a picture of one square is its own part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

__all__ = ["views"]


def views(
    tower: Callable[[torch.Tensor], torch.Tensor],
    squares: torch.Tensor,
    grids: Sequence[tuple[int, int]],
) -> torch.Tensor:
    """`[squares, 3, size, size]` of pictures in a row to `[pictures, rows, 2 * width]`.

    `grids` are each picture's squares (across, down), row by row.
    """
    parts = list(squares.split([across * down for across, down in grids]))
    wholes = [_whole(part, *grid) for part, grid in zip(parts, grids, strict=True)]
    several = [part for part in parts if len(part) > 1]
    seen = tower(torch.cat([*wholes, *several]))
    found, rest = [], seen[len(grids) :]
    for whole, (across, down) in zip(seen, grids, strict=False):
        local = whole
        if across * down > 1:
            local, rest = _stitched(rest[: across * down], across, down), rest[across * down :]
        found.append(torch.cat([whole, local], dim=-1))
    return torch.stack(found)


def _whole(squares: torch.Tensor, across: int, down: int) -> torch.Tensor:
    """`[squares, 3, size, size]` of one picture to `[1, 3, size, size]`."""
    if len(squares) == 1:
        return squares
    size = squares.shape[-1]
    grid = squares.unflatten(0, (down, across)).permute(2, 0, 3, 1, 4)
    picture = grid.reshape(1, 3, down * size, across * size)
    return functional.interpolate(picture.float(), (size, size), mode="bilinear").to(squares)


def _stitched(features: torch.Tensor, across: int, down: int) -> torch.Tensor:
    """`[squares, rows, width]` of one picture to `[rows, width]`."""
    rows, width = features.shape[1:]
    edge = math.isqrt(rows)
    grid = features.mT.reshape(down, across, width, edge, edge).permute(2, 0, 3, 1, 4)
    picture = grid.reshape(1, width, down * edge, across * edge)
    small = functional.interpolate(picture.float(), (edge, edge), mode="bilinear").to(features)
    return small[0].flatten(1).mT
