"""How an image becomes square pictures for the tower, and which rows of features become its tokens.

A layout knows sizes only: no torch, no model, and numpy only where rows are asked for. What it says
of rows is a plain gather, so that one operation packs the tokens of every family.

LLaVA-1.6's `anyres` with `spatial_unpad`: haotian-liu/LLaVA, llava/mm_utils.py
(`select_best_resolution`, `resize_and_pad_image`) and llava/model/llava_arch.py (`unpad_image`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    # For each token a row of features, or NEWLINE.
    Rows = npt.NDArray[np.int64]

__all__ = ["NEWLINE", "AnyresLayout", "Crop", "Layout", "SquareLayout"]

# Among rows: the checkpoint's trained newline vector instead of a row of features.
NEWLINE = -1


class Layout(Protocol):
    """What the engine and the processor ask of a layout; sizes are (width, height) in pixels."""

    @property
    def has_newline(self) -> bool:
        """Whether rows can be `NEWLINE`."""

    def squares(self, width: int, height: int) -> int:
        """How many square pictures an image becomes."""

    def tokens(self, width: int, height: int) -> int:
        """How many tokens an image becomes."""

    def rows(self, width: int, height: int) -> Rows:
        """For each token, the row of the image's features `[squares * rows a square]`."""

    def largest(self) -> tuple[int, int]:
        """The size of an image that becomes the most tokens."""


@dataclass(frozen=True)
class SquareLayout:
    """One square a picture, each of its `count` features a token."""

    size: int
    count: int
    has_newline = False

    def squares(self, width: int, height: int) -> int:
        """One."""
        return 1

    def tokens(self, width: int, height: int) -> int:
        """All features of the square."""
        return self.count

    def rows(self, width: int, height: int) -> Rows:
        """All in order."""
        import numpy as np

        return np.arange(self.count)

    def largest(self) -> tuple[int, int]:
        """Any size is as good as the tower's."""
        return self.size, self.size


@dataclass(frozen=True)
class Crop:
    """Rows and columns of the stitched feature grid that hold picture, not padding."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True)
class AnyresLayout:
    """Tiles of `size` pixels with `grid` x `grid` features each, and the canvases they may fill."""

    size: int
    grid: int
    pinpoints: tuple[tuple[int, int], ...]
    has_newline = True

    def canvas(self, width: int, height: int) -> tuple[int, int]:
        """The canvas (width, height) that keeps most of the image and wastes least."""
        best, kept, wasted = self.pinpoints[0], -1, math.inf
        for wide, high in self.pinpoints:
            scale = min(wide / width, high / height)
            inside = min(int(width * scale) * int(height * scale), width * height)
            waste = wide * high - inside
            if inside > kept or (inside == kept and waste < wasted):
                best, kept, wasted = (wide, high), inside, waste
        return best

    def fitted(self, width: int, height: int) -> tuple[int, int]:
        """The size of the image scaled into its canvas."""
        wide, high = self.canvas(width, height)
        if wide / width < high / height:
            return wide, min(math.ceil(height * (wide / width)), high)
        return min(math.ceil(width * (high / height)), wide), high

    def tiles(self, width: int, height: int) -> tuple[int, int]:
        """Tiles across and down, the picture of the whole not counted."""
        wide, high = self.canvas(width, height)
        return wide // self.size, high // self.size

    def crop(self, width: int, height: int) -> Crop:
        """What is left of the stitched features once the padding is cut away."""
        across, down = self.tiles(width, height)
        columns, rows = across * self.grid, down * self.grid
        if width / height > columns / rows:
            pad = (rows - int(height * (columns / width))) // 2
            return Crop(pad, rows - pad, 0, columns)
        pad = (columns - int(width * (rows / height))) // 2
        return Crop(0, rows, pad, columns - pad)

    def tokens(self, width: int, height: int) -> int:
        """Tokens of an image: the whole as one square, then each row with its newline."""
        crop = self.crop(width, height)
        return self.grid**2 + (crop.bottom - crop.top) * (crop.right - crop.left + 1)

    def squares(self, width: int, height: int) -> int:
        """The picture of the whole, and the tiles."""
        across, down = self.tiles(width, height)
        return 1 + across * down

    def rows(self, width: int, height: int) -> Rows:
        """The whole as one square, then each row of the stitched tiles and its newline.

        Rows and columns that only padding filled are left out.
        """
        import numpy as np

        across, down = self.tiles(width, height)
        each = self.grid**2
        tiles = each + np.arange(across * down * each)
        stitched = tiles.reshape(down, across, self.grid, self.grid).swapaxes(1, 2)
        stitched = stitched.reshape(down * self.grid, across * self.grid)
        crop = self.crop(width, height)
        kept = stitched[crop.top : crop.bottom, crop.left : crop.right]
        ended = np.pad(kept, ((0, 0), (0, 1)), constant_values=NEWLINE)
        return np.concatenate([np.arange(each), ended.reshape(-1)])

    def largest(self) -> tuple[int, int]:
        """A canvas filled without padding."""
        return max(self.pinpoints, key=lambda pair: self.tokens(*pair))
