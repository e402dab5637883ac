"""Images to pixel arrays, as the authors' code and the transformers of its time did it.

Plain PIL and numpy: bicubic resizing with PIL's own antialiasing, sizes truncated, channels scaled
in double precision and normalised in single. transformers 5 resizes with torchvision by default,
which gives other pixels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from sensorium.model_adapters.layouts import AnyresLayout

if TYPE_CHECKING:
    from sensorium.model_adapters.plan import ImagePlan, Plan

__all__ = ["Pixels", "pad_and_resize", "prepare", "resize_and_crop", "tile"]

# The longest edge of a square that is padded in one piece; rows of a band; how many squares long an
# image may be resized as a whole.
_LONG_EDGE = 8192
_BAND = 256
_LONGEST = 32
Pixels = npt.NDArray[np.float32]


def prepare(image: Image.Image, plan: Plan) -> Pixels:
    """Pixels `[squares, 3, size, size]` of one image: one square, or the whole and its tiles.

    An alpha channel is dropped, showing the colours below it, as `convert("RGB")` does in the
    authors' code.
    """
    image = image.convert("RGB")
    layout = plan.layout()
    if isinstance(layout, AnyresLayout):
        squares = tile(image, layout)
    elif plan.image.aspect == "pad":
        squares = [pad_and_resize(image, plan.image.pad_colour, plan.image.size)]
    else:
        squares = [resize_and_crop(image, plan.image)]
    return np.stack([_normalise(square, plan.image) for square in squares])


def pad_and_resize(image: Image.Image, colour: tuple[int, ...], size: int) -> Image.Image:
    """The image in the middle of a square of `colour` (`expand2square`), resized to `size`.

    A file of a few kilobytes can hold an image of 1x65000 pixels, whose square would take 12 GB.
    The square of a long image is therefore resized a band of rows at a time, along the rows and
    then along the columns as PIL does it, and only near the picture; the rest is plain `colour`.
    """
    width, height = image.size
    edge = max(width, height)
    left, top = (edge - width) // 2, (edge - height) // 2
    if edge <= _LONG_EDGE:
        square = Image.new("RGB", (edge, edge), colour)
        square.paste(image, (left, top))
        return square.resize((size, size), Image.Resampling.BICUBIC)
    scale = edge / size
    # A bicubic kernel reaches two output pixels far.
    first = max(0, math.floor(left / scale) - 3)
    last = min(size, math.ceil((left + width) / scale) + 3)
    begin = max(0, math.floor((first - 3) * scale))
    end = min(edge, math.ceil((last + 3) * scale))
    narrow = Image.new("RGB", (size, edge), colour)
    for start in range(0, height, _BAND):
        rows = min(_BAND, height - start)
        band = Image.new("RGB", (end - begin, rows), colour)
        band.paste(image.crop((0, start, width, start + rows)), (left - begin, 0))
        box = (first * scale - begin, 0, min(last * scale - begin, end - begin), rows)
        done = band.resize((last - first, rows), Image.Resampling.BICUBIC, box=box)
        narrow.paste(done, (first, top + start))
    return narrow.resize((size, size), Image.Resampling.BICUBIC)


def tile(image: Image.Image, layout: AnyresLayout) -> list[Image.Image]:
    """The whole image squeezed into one square, then its tiles, row by row, padded with black."""
    canvas = Image.new("RGB", layout.canvas(*image.size))
    fitted = image.resize(layout.fitted(*image.size), Image.Resampling.BICUBIC)
    canvas.paste(fitted, ((canvas.width - fitted.width) // 2, (canvas.height - fitted.height) // 2))
    size = layout.size
    squares = [image.resize((size, size), Image.Resampling.BICUBIC)]
    for top in range(0, canvas.height, size):
        for left in range(0, canvas.width, size):
            squares.append(canvas.crop((left, top, left + size, top + size)))
    return squares


def resize_and_crop(image: Image.Image, plan: ImagePlan) -> Image.Image:
    """To the tower's square: both edges resized, or the shorter one and a centre crop."""
    size = plan.size
    if plan.resize == "squash":
        return image.resize((size, size), Image.Resampling.BICUBIC)
    width, height = image.size
    if width <= height:
        target = (size, int(size * height / width))
    else:
        target = (int(size * width / height), size)
    left, top = (target[0] - size) // 2, (target[1] - size) // 2
    if max(target) > _LONGEST * size:
        # Only what the crop keeps: the whole of a thin image could take gigabytes.
        # In two steps, as PIL resizes: along the rows, then along the columns.
        across, down = width / target[0], height / target[1]
        columns = (left * across, 0, min((left + size) * across, width), height)
        rows = (0, top * down, size, min((top + size) * down, height))
        image = image.resize((size, height), Image.Resampling.BICUBIC, box=columns)
        return image.resize((size, size), Image.Resampling.BICUBIC, box=rows)
    image = image.resize(target, Image.Resampling.BICUBIC)
    return image.crop((left, top, left + size, top + size))


def _normalise(image: Image.Image, plan: ImagePlan) -> Pixels:
    scaled = (np.asarray(image, dtype=np.float64) * (1 / 255)).astype(np.float32)
    mean, std = (np.asarray(value, dtype=np.float32) for value in (plan.mean, plan.std))
    normalised = (scaled - mean) / std
    return np.ascontiguousarray(normalised.transpose(2, 0, 1), dtype=np.float32)
