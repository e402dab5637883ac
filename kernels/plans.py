"""Which feature rows make which token: int32 index tables from geometry alone.

Every table is `[tokens, rows per token]` over the flattened rows of `[images, rows, width]`; the
tables of a geometry are built once and kept on their device. Rows are numbered in int32, which the
kernels widen before they multiply.
"""

from __future__ import annotations

from functools import lru_cache

import torch

__all__ = ["all_rows", "grids", "padded_squares", "runs", "squares", "valid_frames"]

_KEPT = 256


@lru_cache(maxsize=_KEPT)
def all_rows(images: int, rows: int, skip: int, device: torch.device) -> torch.Tensor:
    """`[images * (rows - skip), 1]`: every row but the first `skip` of each image (CLS rows)."""
    table = torch.arange(images * rows, dtype=torch.int32).view(images, rows)[:, skip:]
    return table.reshape(-1, 1).to(device)


@lru_cache(maxsize=_KEPT)
def squares(
    images: int, height: int, width: int, edge: int, skip: int, device: torch.device
) -> torch.Tensor:
    """`[images * height * width / edge**2, edge**2]`: squares of a grid, each row by row.

    Pixel shuffle (InternVL v2, Idefics3), 2x2 merges, average pooling. Raises ValueError when the
    edge does not divide the grid.
    """
    if height % edge or width % edge:
        raise ValueError(f"a grid of {height}x{width} has no squares of {edge}x{edge}")
    rows = skip + height * width
    table = torch.arange(images * rows, dtype=torch.int32).view(images, rows)[:, skip:]
    grid = table.reshape(images, height // edge, edge, width // edge, edge)
    return grid.permute(0, 1, 3, 2, 4).reshape(-1, edge * edge).contiguous().to(device)


@lru_cache(maxsize=_KEPT)
def padded_squares(
    images: int, height: int, width: int, edge: int, device: torch.device
) -> torch.Tensor:
    """As `squares`; where the edge does not divide the grid, -1 stands for the rows it lacks."""
    table = torch.arange(images * height * width, dtype=torch.int32).view(images, height, width)
    padding = (0, -width % edge, 0, -height % edge)
    grid = torch.nn.functional.pad(table, padding, value=-1).unflatten(2, (-1, edge))
    squares = grid.unflatten(1, (-1, edge)).permute(0, 1, 3, 2, 4)
    return squares.reshape(-1, edge * edge).contiguous().to(device)


@lru_cache(maxsize=_KEPT)
def grids(sizes: tuple[tuple[int, int], ...], edge: int, device: torch.device) -> torch.Tensor:
    """`[tokens of all images, edge**2]`: squares of images of several sizes, one after the other.

    `sizes` are (height, width) in rows of features. What is left of a grid beside its last whole
    square belongs to no token.
    """
    parts, before = [], 0
    for height, width in sizes:
        table = torch.arange(height * width, dtype=torch.int32).view(height, width) + before
        whole = table[: height // edge * edge, : width // edge * edge]
        grid = whole.reshape(height // edge, edge, width // edge, edge)
        parts.append(grid.permute(0, 2, 1, 3).reshape(-1, edge * edge))
        before += height * width
    table = torch.cat(parts) if parts else torch.empty((0, edge * edge), dtype=torch.int32)
    return table.to(device)


def runs(rows: int, length: int, device: torch.device) -> torch.Tensor:
    """`[rows / length, length]`: rows that lie side by side already. ValueError for a remainder."""
    if rows % length:
        raise ValueError(f"{rows} rows are no runs of {length}")
    return torch.arange(rows, dtype=torch.int32).view(-1, length).to(device)


def valid_frames(
    lengths: tuple[int, ...], frames: int, pool: int, device: torch.device
) -> torch.Tensor:
    """`[sum(lengths), pool]`: of each clip of `frames` frames, those of its first pooled frames.

    `lengths` counts frames after pooling. Raises ValueError for a clip longer than its frames.
    """
    if lengths and max(lengths) * pool > frames:
        raise ValueError(f"got {max(lengths)} pooled frames; {frames} frames hold {frames // pool}")
    parts = [
        torch.arange(length * pool, dtype=torch.int32) + clip * frames
        for clip, length in enumerate(lengths)
    ]
    table = torch.cat(parts) if parts else torch.empty(0, dtype=torch.int32)
    return table.view(-1, pool).to(device)
