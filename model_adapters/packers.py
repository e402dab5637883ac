"""Which tokens an image becomes when it is cut into tiles: sizes only, no pixels and no features.

LLaVA-1.6's `anyres` with `spatial_unpad`: haotian-liu/LLaVA, llava/mm_utils.py
(`select_best_resolution`, `resize_and_pad_image`) and llava/model/llava_arch.py (`unpad_image`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["AnyresLayout", "Crop"]


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

    def most_tokens(self) -> int:
        """The most tokens any image becomes: a canvas filled without padding."""
        return max(self.tokens(wide, high) for wide, high in self.pinpoints)
