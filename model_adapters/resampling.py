"""Two bicubic resamplers with antialiasing: PIL's, and torch's, which is several times faster.

torch's 8-bit kernel is PIL's algorithm in vector instructions. Where a picture shrinks, the two
differ in less than one value of a hundred, by one level of 255 (tests/families/test_images.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["Picture", "Resample", "bicubic", "fast_bicubic", "torch_bicubic"]

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
        mode="bicubic",
        antialias=True,
        align_corners=False,
    )
    found: Picture = scaled[0].permute(1, 2, 0).numpy()
    return found
