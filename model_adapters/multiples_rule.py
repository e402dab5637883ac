"""The picture that Pixtral's image processor makes, made without it.

Facts: huggingface/transformers, models/pixtral/image_processing_pixtral.py
(`get_resize_output_image_size`). Sizes are (width, height).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from sensorium.model_adapters.images import Pixels, stacked
from sensorium.model_adapters.picture_rule import PictureRule, Size
from sensorium.model_adapters.resampling import Picture, torch_bicubic

__all__ = ["MultiplesRule"]


@dataclass(frozen=True)
class MultiplesRule(PictureRule):
    """A picture that is no longer than `longest`, its sides stretched to multiples of `step`."""

    key: ClassVar[str] = "multiples"

    longest: int
    step: int

    def seen(self, size: Size) -> Size:
        """The size in which a picture is seen."""
        ratio = max(1.0, size[0] / self.longest, size[1] / self.longest)
        # A side of a very long picture may come to nothing, which transformers takes no less for.
        width, height = (-(-math.floor(side / ratio) // self.step) * self.step for side in size)
        if not (width and height):
            raise ValueError(
                f"it has {size[0]}x{size[1]} pixels: this model takes no picture with a side more "
                f"than {self.longest} times the other"
            )
        return width, height

    def prepare(self, picture: Picture, size: Size) -> Pixels:
        """8-bit pixels `[1, 3, rows, columns]`."""
        return stacked([torch_bicubic(picture, self.seen(size))])
