"""Resizing by filters that do not widen where a picture shrinks, as torch does for tensors.

Some authors turned pictures into tensors before they resized them, with versions of torchvision
that did not antialias tensors then. A filter of four or two pixels along each axis is then all that
is looked at, however large the picture is, and results are no whole numbers; antialiasing changes
what their models answer. Facts: pytorch/pytorch, aten/src/ATen/native/UpSample.h.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["PLAIN", "plain_crop"]

_Floats: TypeAlias = npt.NDArray[np.float32]
_Whole: TypeAlias = npt.NDArray[np.int64]
# Ways to resize of this module, among those of a plan.
PLAIN = ("plain_bicubic", "plain_bilinear")
# torch's, where PIL has -0.5.
_SHARPNESS = np.float32(-0.75)


def plain_crop(picture: npt.NDArray[np.uint8], size: int, resize: str) -> _Floats:
    """The middle `[size, size, 3]` of a picture `[rows, columns, 3]`, its shorter edge resized.

    `resize` is one of `PLAIN`. "plain_bicubic" goes by torchvision's `Resize` and `CenterCrop`,
    which may overshoot 0 and 255; "plain_bilinear" by pytorchvideo's `ShortSideScale` and
    torchvision's `CenterCropVideo`.
    """
    rows, columns = picture.shape[:2]
    high, wide = (_scaled(edge, min(rows, columns), size, resize) for edge in (rows, columns))
    of_rows = _taps(rows, high, size, resize)
    of_columns = _taps(columns, wide, size, resize)
    # What the crop shows of a long picture, before anything is computed.
    first, last = int(of_columns[0].min()), int(of_columns[0].max()) + 1
    seen = picture[:, first:last]
    narrow = _mixed(seen, of_rows[0], of_rows[1])
    turned = narrow.swapaxes(0, 1)
    return _mixed(turned, of_columns[0] - first, of_columns[1]).swapaxes(0, 1)


def _scaled(edge: int, shorter: int, size: int, resize: str) -> int:
    if edge == shorter:
        return size
    if resize == "plain_bilinear":
        return math.floor((float(edge) / shorter) * size)
    return int(size * edge / shorter)


def _taps(edge: int, scaled: int, size: int, resize: str) -> tuple[_Whole, _Floats]:
    """For each output pixel of the crop, which pixels it is made of, and how much of each.

    Both are `[size, taps]`.
    """
    places = round((scaled - size) / 2.0) + np.arange(size, dtype=np.float32)
    at = np.float32(edge / scaled) * (places + np.float32(0.5)) - np.float32(0.5)
    if resize == "plain_bilinear":
        at = np.maximum(at, np.float32(0))
        whole = np.floor(at)
        part = at - whole
        weights, reach = [1 - part, part], np.arange(2)
    else:
        whole = np.floor(at)
        part = at - whole
        weights = [_far(part + 1), _near(part), _near(1 - part), _far(2 - part)]
        reach = np.arange(-1, 3)
    taken = np.clip(whole.astype(np.int64)[:, None] + reach, 0, edge - 1)
    return taken, np.stack(weights, axis=1)


def _near(x: _Floats) -> _Floats:
    """The cubic filter up to a pixel away."""
    return ((_SHARPNESS + 2) * x - (_SHARPNESS + 3)) * x * x + 1


def _far(x: _Floats) -> _Floats:
    """The cubic filter between one and two pixels away."""
    return ((_SHARPNESS * x - 5 * _SHARPNESS) * x + 8 * _SHARPNESS) * x - 4 * _SHARPNESS


def _mixed(picture: npt.NDArray[np.generic], taken: _Whole, weights: _Floats) -> _Floats:
    """`[size, columns, 3]`: each row made of the taken rows of a picture."""
    parts = (
        picture[taken[:, tap]].astype(np.float32) * weights[:, tap, None, None]
        for tap in range(taken.shape[1])
    )
    total: _Floats = next(parts)
    for part in parts:
        total = total + part
    return total
