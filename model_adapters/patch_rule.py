"""The patches that Qwen-VL's image processor makes of a picture, made without it.

Facts: huggingface/transformers, models/qwen2_vl/image_processing_qwen2_vl.py (`smart_resize`,
`patchify`). Sizes are (width, height).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sensorium.model_adapters.images import Pixels
from sensorium.model_adapters.picture_rule import PictureRule, Size
from sensorium.model_adapters.resampling import Picture, torch_bicubic

__all__ = ["PatchRule", "size_by_area"]

_LONGEST = 200


def size_by_area(size: Size, step: int, least: int, most: int) -> Size:
    """The size that is nearest in proportion, sides multiples of `step`, `least` to `most` pixels.

    Raises ValueError for a side more than 200 times the other, as transformers does.
    """
    if max(size) > _LONGEST * min(size):
        raise ValueError(
            f"it has {size[0]}x{size[1]} pixels: this model takes no picture with a side more than "
            f"{_LONGEST} times the other"
        )
    width, height = (round(side / step) * step for side in size)
    if width * height > most:
        ratio = math.sqrt(size[0] * size[1] / most)
        width, height = (max(step, math.floor(side / ratio / step) * step) for side in size)
    elif width * height < least:
        ratio = math.sqrt(least / (size[0] * size[1]))
        width, height = (math.ceil(side * ratio / step) * step for side in size)
    return width, height


@dataclass(frozen=True)
class PatchRule(PictureRule):
    """A picture of `least` to `most` pixels, cut into patches of `patch` pixels.

    `merge` by `merge` patches, which become one token, stand together.
    """

    key: ClassVar[str] = "patches"

    patch: int
    merge: int
    least: int
    most: int

    def seen(self, size: Size) -> Size:
        """The size in which a picture is cut."""
        return size_by_area(size, self.patch * self.merge, self.least, self.most)

    def prepare(self, picture: Picture, size: Size) -> Pixels:
        """8-bit patches `[patches, 3, patch, patch]`, once where the processor repeats a still."""
        picture = np.ascontiguousarray(torch_bicubic(picture, self.seen(size)))
        rows, columns = (side // self.patch for side in picture.shape[:2])
        # A patch's row as one value: numpy moves those in a third of the time.
        lines = picture.reshape(-1).view(f"V{3 * self.patch}")
        blocks = lines.reshape(
            rows // self.merge, self.merge, self.patch, columns // self.merge, self.merge
        )
        ordered = np.ascontiguousarray(blocks.transpose(0, 3, 1, 4, 2)).view(np.uint8)
        colours = ordered.reshape(rows * columns, -1, 3).transpose(0, 2, 1)
        return np.ascontiguousarray(colours).reshape(-1, 3, self.patch, self.patch)
