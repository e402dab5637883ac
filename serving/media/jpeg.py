"""JPEG files to arrays by OpenCV, whose libjpeg-turbo needs no copy on the way, unlike Pillow's.

Both give the same values (tests/serving/media/test_jpeg.py).
"""

from __future__ import annotations

import importlib.util
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["decode_jpeg"]

# vLLM brings OpenCV.
_HAS_OPENCV = importlib.util.find_spec("cv2") is not None
# OpenCV's flags for a colour JPEG in red, green, blue, by how much smaller libjpeg decodes it.
_IGNORE_ORIENTATION, _RGB = 128, 256
_REDUCED: Final = {1: 0, 2: 16, 4: 32, 8: 64}
_END = b"\xff\xd9"


def decode_jpeg(image: Image.Image, content: bytes, times: int = 1) -> npt.NDArray[np.uint8] | None:
    """Pixels `[rows, columns, 3]` as stored, 1, 2, 4 or 8 `times` smaller than they are.

    `image` is the file as Pillow opened it, undecoded. None for what is left to Pillow: greys,
    print colours, and files that do not end as they should, which Pillow refuses and OpenCV does
    not.
    """
    if not _HAS_OPENCV or image.format not in ("JPEG", "MPO") or image.mode != "RGB":
        return None
    if not content.endswith(_END):
        return None
    import cv2

    flags = _REDUCED[times] | _RGB | _IGNORE_ORIENTATION
    try:
        found = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        return None
    if found is None or found.shape != (-(-image.height // times), -(-image.width // times), 3):
        return None
    return np.asarray(found, np.uint8)
