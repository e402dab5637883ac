"""The tiles that vLLM's processor for InternVL makes of a picture, made without it.

Facts: vLLM 0.32, transformers_utils/processors/internvl.py, which follows OpenGVLab/InternVL
(`dynamic_preprocess`). Sizes are (width, height).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from sensorium.model_adapters.images import Pixels, stacked
from sensorium.model_adapters.picture_rule import PictureRule, Size
from sensorium.model_adapters.resampling import Picture, Resample, bicubic, fast_bicubic

__all__ = ["GridRule"]


@dataclass(frozen=True)
class GridRule(PictureRule):
    """A picture stretched to the grid of `least` to `most` squares nearest to it in shape.

    `whole`: where there are several squares, the whole in one square comes after them.
    """

    key: ClassVar[str] = "grid"

    edge: int
    least: int
    most: int
    whole: bool

    @cached_property
    def _grids(self) -> list[Size]:
        # In the order of vLLM, in which the first of two equally near ones counts.
        found = {
            (across, down)
            for count in range(self.least, self.most + 1)
            for across in range(1, count + 1)
            for down in range(1, count + 1)
            if self.least <= across * down <= self.most
        }
        return sorted(found, key=lambda grid: grid[0] * grid[1])

    def grid(self, size: Size) -> Size:
        """How many squares stand in a row and in a column."""
        ratio, area = size[0] / size[1], size[0] * size[1]
        best, nearest = (1, 1), float("inf")
        for grid in self._grids:
            away = abs(ratio - grid[0] / grid[1])
            large = area > 0.5 * self.edge * self.edge * grid[0] * grid[1]
            if away < nearest or (away == nearest and large):
                best, nearest = grid, away
        return best

    def seen(self, size: Size) -> Size:
        """The size of the grid."""
        across, down = self.grid(size)
        return across * self.edge, down * self.edge

    def prepare(self, picture: Picture, size: Size) -> Pixels:
        """8-bit squares `[squares, 3, edge, edge]`."""
        return self._made(picture, size, bicubic)

    def prepare_nearly(self, picture: Picture, size: Size) -> Pixels:
        """As `prepare`, by torch's filter in the place of Pillow's."""
        return self._made(picture, size, fast_bicubic)

    def _made(self, picture: Picture, size: Size, resample: Resample) -> Pixels:
        edge, (width, height) = self.edge, self.seen(size)
        canvas = resample(picture, (width, height))
        corners = itertools.product(range(0, height, edge), range(0, width, edge))
        squares = [canvas[top : top + edge, left : left + edge] for top, left in corners]
        if self.whole and len(squares) > 1:
            squares.append(resample(picture, (edge, edge)))
        return stacked(squares)
