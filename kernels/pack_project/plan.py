"""Where each token of tiled images comes from, as one list of feature rows.

haotian-liu/LLaVA, llava/model/llava_arch.py (`prepare_inputs_labels_for_multimodal`,
`unpad_image`): the picture of the whole comes first; the tiles are stitched to one grid, rows and
columns that only padding filled are cut off, and each row ends with the newline vector. OneVision
also shrinks grids that are too large, by interpolation between projected rows: that is not an order
of rows and has no plan.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

__all__ = ["PackPlan", "Tiled", "plan_packing", "tiled_rows"]


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

    @property
    def squares(self) -> int:
        """The whole and the tiles."""
        return 1 + self.down * self.across


@dataclass(frozen=True)
class PackPlan:
    """`source` `[tokens]` int32, -1 for newlines; `newlines` their places; tokens per image."""

    source: torch.Tensor
    newlines: torch.Tensor
    lengths: tuple[int, ...]


def plan_packing(images: Iterable[tuple[torch.Tensor, int]], device: torch.device) -> PackPlan:
    """The plan for images whose feature rows follow each other.

    Each image is given as the row of each of its tokens, counted from its own first row and
    negative for a newline, and the number of rows it owns.
    """
    parts: list[torch.Tensor] = []
    first = 0
    for rows, owned in images:
        parts.append(torch.where(rows < 0, -1, rows + first))
        first += owned
    source = torch.cat(parts) if parts else torch.empty(0)
    newlines = (source < 0).nonzero().flatten()
    lengths = tuple(len(part) for part in parts)
    return PackPlan(source.to(device, torch.int32), newlines.to(device), lengths)


def tiled_rows(
    image: Tiled, grid: int, *, skip: int = 0, newline: bool = True
) -> tuple[torch.Tensor, int]:
    """An image for `plan_packing`; its squares have `skip + grid * grid` feature rows each."""
    each = grid * grid + skip
    square = torch.arange(grid * grid) + skip
    if image.squares == 1:
        end = torch.full((int(newline),), -1)
        return torch.cat([square, end]), each
    rows = torch.arange(1, image.squares)[:, None] * each + square
    stitched = rows.view(image.down, image.across, grid, grid).transpose(1, 2)
    stitched = stitched.reshape(image.down * grid, image.across * grid)
    kept = stitched[image.top : image.bottom, image.left : image.right]
    if newline:
        kept = torch.nn.functional.pad(kept, (0, 1), value=-1)
    return torch.cat([square, kept.flatten()]), each * image.squares
