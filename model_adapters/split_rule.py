"""The tiles that Idefics3's image processor makes of a picture, made without it.

Facts: huggingface/transformers, models/idefics3/image_processing_idefics3.py (`resize`,
`resize_for_vision_encoder`, `split_images`); SmolVLM's does the same. Sizes are (width, height).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar

from sensorium.model_adapters.images import Pixels, stacked
from sensorium.model_adapters.picture_rule import PictureRule, Size
from sensorium.model_adapters.resampling import Picture, torch_resized

__all__ = ["SplitRule"]

_LARGEST = 4096


@dataclass(frozen=True)
class SplitRule(PictureRule):
    """A picture resized to `longest`, stretched to multiples of `edge`, its tiles and the whole.

    Without `split` it is the whole alone.
    """

    key: ClassVar[str] = "split"

    longest: int
    edge: int
    split: bool
    filtering: str

    def seen(self, size: Size) -> Size:
        """The first of its sizes."""
        ratio, long = size[0] / size[1], self.longest
        if size[0] >= size[1]:
            width, height = long, _even(int(long / ratio))
        else:
            width, height = _even(int(long * ratio)), long
        ratio = width / height
        if width >= height and width > _LARGEST:
            width, height = _LARGEST, int(_LARGEST / ratio)
        elif height > width and height > _LARGEST:
            width, height = int(_LARGEST * ratio), _LARGEST
        return max(width, 1), max(height, 1)

    def tiled(self, size: Size) -> Size:
        """How many tiles stand in a row and in a column; none for a picture that is one square."""
        width, height = self.seen(size)
        ratio = width / height
        if width >= height:
            across = math.ceil(width / self.edge)
            down = math.ceil(int(across * self.edge / ratio) / self.edge)
        else:
            down = math.ceil(height / self.edge)
            across = math.ceil(int(down * self.edge * ratio) / self.edge)
        if not (across and down):
            raise ValueError(f"it has {size[0]}x{size[1]} pixels, which is too thin for this model")
        return (across, down) if self.split and across * down > 1 else (0, 0)

    def prepare(self, picture: Picture, size: Size) -> Pixels:
        """8-bit squares `[tiles + 1, 3, edge, edge]`, the whole last."""
        edge, (across, down) = self.edge, self.tiled(size)
        picture = torch_resized(picture, self.seen(size), self.filtering)
        if across:
            picture = torch_resized(picture, (across * edge, down * edge), self.filtering)
        corners = itertools.product(range(0, down * edge, edge), range(0, across * edge, edge))
        tiles = [picture[top : top + edge, left : left + edge] for top, left in corners]
        return stacked([*tiles, torch_resized(picture, (edge, edge), self.filtering)])


def _even(side: int) -> int:
    return max(side + side % 2, 1)
