"""Images to pixel arrays, as the authors' code and the transformers of its time did it.

Plain PIL and numpy: bicubic resizing with PIL's own antialiasing, sizes truncated, channels scaled
in double precision and normalised in single. transformers 5 resizes with torchvision by default,
which gives other pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from sensorium.model_adapters.packers import AnyresLayout

if TYPE_CHECKING:
    from sensorium.model_adapters.plan import ImagePlan, Plan

__all__ = ["Pixels", "pad_to_square", "prepare", "resize_and_crop", "tile"]

Pixels = npt.NDArray[np.float32]


def prepare(image: Image.Image, plan: Plan) -> Pixels:
    """Pixels `[squares, 3, size, size]` of one image: one square, or the whole and its tiles.

    An alpha channel is dropped, showing the colours below it, as `convert("RGB")` does in the
    authors' code.
    """
    image = image.convert("RGB")
    layout = plan.layout()
    if layout is not None:
        squares = tile(image, layout)
    elif plan.image.aspect == "pad":
        squares = [pad_to_square(image, plan.image.pad_colour)]
    else:
        squares = [image]
    return np.stack(
        [_normalise(resize_and_crop(square, plan.image), plan.image) for square in squares]
    )


def pad_to_square(image: Image.Image, colour: tuple[int, ...]) -> Image.Image:
    """The image in the middle of a square of `colour`; upstream's `expand2square`."""
    width, height = image.size
    if width == height:
        return image
    edge = max(width, height)
    square = Image.new("RGB", (edge, edge), colour)
    square.paste(image, ((edge - width) // 2, (edge - height) // 2))
    return square


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
    image = image.resize(target, Image.Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))


def _normalise(image: Image.Image, plan: ImagePlan) -> Pixels:
    scaled = (np.asarray(image, dtype=np.float64) * (1 / 255)).astype(np.float32)
    mean, std = (np.asarray(value, dtype=np.float32) for value in (plan.mean, plan.std))
    normalised = (scaled - mean) / std
    return np.ascontiguousarray(normalised.transpose(2, 0, 1), dtype=np.float32)
