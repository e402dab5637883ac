"""Multi-scale (S2) features: one picture seen at several sizes, the features side by side.

Facts: BAAI-DCAI/Bunny, bunny/util/s2wrapper/core.py; the same package serves VILA-1.5-3b-s2. Larger
sizes are cut into squares of the tower's own size and their features pooled to its grid; pictures
are resized without antialiasing.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.nn import functional

__all__ = ["multiscale"]


def multiscale(
    tower: Callable[[torch.Tensor], torch.Tensor], pixels: torch.Tensor, scales: tuple[int, ...]
) -> torch.Tensor:
    """`[pictures, 3, size, size]` to `[pictures, rows, width * len(scales)]`.

    `tower` takes squares of `scales[0]` pixels and gives `[squares, grid * grid, width]`.
    """
    seen: list[torch.Tensor] = []
    for scale in scales:
        resized = functional.interpolate(pixels.float(), size=scale, mode="bicubic").to(pixels)
        splits = scale // scales[0]
        grid = _join(tower(_split(resized, splits)), splits)
        if seen:
            grid = functional.interpolate(grid.float(), size=seen[0].shape[-2:], mode="area")
        seen.append(grid.to(pixels))
    return torch.cat(seen, dim=1).flatten(2).transpose(1, 2)


def _split(pictures: torch.Tensor, splits: int) -> torch.Tensor:
    """`[pictures, 3, size, size]` to the squares of each picture, row by row."""
    count, channels, size, _ = pictures.shape
    edge = size // splits
    squares = pictures.reshape(count, channels, splits, edge, splits, edge)
    return squares.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, edge, edge)


def _join(features: torch.Tensor, splits: int) -> torch.Tensor:
    """`[squares, grid * grid, width]` to whole pictures `[pictures, width, rows, columns]`."""
    squares, rows, width = features.shape
    grid = math.isqrt(rows)
    pictures = features.reshape(squares // splits**2, splits, splits, grid, grid, width)
    return pictures.permute(0, 5, 1, 3, 2, 4).reshape(-1, width, splits * grid, splits * grid)
