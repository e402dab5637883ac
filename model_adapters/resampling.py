"""Two bicubic resamplers with antialiasing: PIL's, and torch's, which is several times faster.

torch's 8-bit kernel is PIL's algorithm in vector instructions. Where a picture shrinks, the two
differ in less than one value of a hundred, by one level of 255 (tests/families/test_images.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = [
    "Picture",
    "Resample",
    "bicubic",
    "fast_bicubic",
    "resized_part",
    "torch_bicubic",
    "torch_resized",
]

# Pixels beside a part among which its border is looked for, and by how much of a pixel it may miss.
_REACH, _MISS = 24, 0.02
# RGB, `[rows, columns, 3]`.
Picture: TypeAlias = npt.NDArray[np.uint8]
# From a picture and (width, height) to that picture in that size.
Resample = Callable[[Picture, tuple[int, int]], Picture]


def bicubic(
    picture: Picture, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> Picture:
    """As the authors' code did, to the last bit; `box` is the part to resize (PIL's corners)."""
    resized = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC, box=box)
    return np.asarray(resized)


def fast_bicubic(picture: Picture, size: tuple[int, int]) -> Picture:
    """By torch where the picture shrinks; as `bicubic` where it grows."""
    if size[0] > picture.shape[1] or size[1] > picture.shape[0]:
        return bicubic(picture, size)
    return torch_bicubic(picture, size)


def torch_bicubic(picture: Picture, size: tuple[int, int]) -> Picture:
    """As torchvision resizes 8-bit tensors, to the last bit."""
    return torch_resized(picture, size, "bicubic")


def torch_resized(picture: Picture, size: tuple[int, int], filtering: str) -> Picture:
    """As `torch_bicubic`, by torch's filter of that name."""
    import torch

    if size == (picture.shape[1], picture.shape[0]):
        return picture
    # torch complains of arrays that cannot be written.
    pixels = torch.from_numpy(picture if picture.flags.writeable else picture.copy())
    scaled = torch.nn.functional.interpolate(
        # Turned with its batch: else torch does not see that channels come last, and takes twice
        # as long to part them.
        pixels[None].permute(0, 3, 1, 2),
        size=(size[1], size[0]),
        mode=filtering,
        antialias=True,
        align_corners=None if filtering == "lanczos" else False,
    )
    found: Picture = scaled[0].permute(1, 2, 0).numpy()
    return found


def resized_part(
    picture: Picture, size: tuple[int, int], part: tuple[int, int, int, int], resample: Resample
) -> Picture:
    """Of the picture resized to `size` the `part` (left, top, width, height), made without most of
    the rest.

    Its borders lie where pixels of the picture and of the result begin together, by a fiftieth of a
    pixel; where they nowhere do, the rest is made too.
    """
    left, top, width, height = part
    columns = _border(picture.shape[1], size[0], left, width)
    rows = _border(picture.shape[0], size[1], top, height)
    scale_x, scale_y = picture.shape[1] / size[0], picture.shape[0] / size[1]
    within = picture[
        round(rows[0] * scale_y) : round(rows[1] * scale_y),
        round(columns[0] * scale_x) : round(columns[1] * scale_x),
    ]
    seen = resample(within, (columns[1] - columns[0], rows[1] - rows[0]))
    left, top = left - columns[0], top - rows[0]
    return seen[top : top + height, left : left + width]


def _border(edge: int, resized: int, first: int, count: int) -> tuple[int, int]:
    """From where to where to resize, so that the filter's reach around the part is in."""
    scale = edge / resized
    margin = math.ceil(2 * max(1.0, 1 / scale)) + 1

    def miss(at: int) -> float:
        return abs(at * scale - round(at * scale))

    before, behind = max(0, first - margin), min(resized, first + count + margin)
    begin = min(range(max(0, before - _REACH), before + 1), key=miss)
    end = min(range(behind, min(resized, behind + _REACH) + 1), key=miss)
    return begin if miss(begin) < _MISS else 0, end if miss(end) < _MISS else resized
