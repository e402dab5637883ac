"""Where each token of tiled images comes from (LLaVA-1.6 `spatial_unpad`, OneVision's likewise).

haotian-liu/LLaVA, llava/model/llava_arch.py (`prepare_inputs_labels_for_multimodal`,
`unpad_image`): the picture of the whole comes first; the tiles are stitched to one grid, rows and
columns that only padding filled are cut off, and each row ends with the newline vector. OneVision
also shrinks grids that are too large, by interpolation between projected rows: that is not an order
of rows and has no plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch

__all__ = ["PackPlan", "Tiled", "plan_packing"]


@dataclass(frozen=True)
class Tiled:
    """An image of a whole and `down` x `across` tiles, and what of their grid holds picture.

    The crop is in feature rows and columns of the stitched tiles. No tiles means the whole alone,
    followed by one newline.
    """

    down: int
    across: int
    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


@dataclass(frozen=True)
class PackPlan:
    """`source` `[tokens]` int32, -1 for newlines; `newlines` their places; tokens per image."""

    source: torch.Tensor
    newlines: torch.Tensor
    lengths: tuple[int, ...]


def plan_packing(
    images: Sequence[Tiled], grid: int, device: torch.device, *, skip: int = 0, newline: bool = True
) -> PackPlan:
    """The plan for images whose squares of `skip + grid * grid` feature rows follow each other."""
    return _plan(tuple(images), grid, skip, newline, device)


@lru_cache(maxsize=256)
def _plan(
    images: tuple[Tiled, ...], grid: int, skip: int, newline: bool, device: torch.device
) -> PackPlan:
    parts: list[torch.Tensor] = []
    first = 0
    for image in images:
        parts.append(_rows(image, grid, skip, newline) + first)
        first += (1 + image.down * image.across) * (grid * grid + skip)
    # Newlines were marked far below zero, so that shifting an image leaves them negative.
    source = torch.cat(parts) if parts else torch.empty(0, dtype=torch.int32)
    source = source.clamp_min(-1)
    newlines = (source < 0).nonzero().flatten()
    lengths = tuple(len(part) for part in parts)
    return PackPlan(source.to(device), newlines.to(device), lengths)


def _rows(image: Tiled, grid: int, skip: int, newline: bool) -> torch.Tensor:
    mark = -(1 << 30)
    square = torch.arange(grid * grid, dtype=torch.int32) + skip
    if not image.down * image.across:
        end = torch.full((1 if newline else 0,), mark, dtype=torch.int32)
        return torch.cat([square, end])
    tile = torch.arange(1, 1 + image.down * image.across, dtype=torch.int32)
    rows = tile[:, None] * (grid * grid + skip) + square
    stitched = rows.view(image.down, image.across, grid, grid).transpose(1, 2)
    stitched = stitched.reshape(image.down * grid, image.across * grid)
    kept = stitched[image.top : image.bottom, image.left : image.right]
    if newline:
        ends = torch.full((kept.shape[0], 1), mark, dtype=torch.int32)
        kept = torch.cat([kept, ends], dim=1)
    return torch.cat([square, kept.flatten()])
