"""Video files for tests, each frame telling its number."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt

__all__ = ["clip", "number_of"]

_STEP = 12


def clip(
    frames: int = 40,
    size: tuple[int, int] = (64, 48),
    *,
    rate: int = 8,
    form: str = "mp4",
    codec: str = "libx264",
    keys: int = 8,
    rotation: int = 0,
) -> bytes:
    """A video whose n-th frame shows n in shades of grey; a key frame comes every `keys` frames."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=Fraction(rate))
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.bit_rate = 4_000_000
        stream.options = {"g": str(keys), "crf": "4"}
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(frames):
            picture = np.empty((size[1], size[0], 3), np.uint8)
            picture[: size[1] // 2] = 20 + _STEP * (number % 16)
            picture[size[1] // 2 :] = 20 + _STEP * (number // 16)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def number_of(frame: npt.NDArray[np.uint8]) -> int:
    """Which frame of a clip this is, `[height, width, 3]`."""
    half = len(frame) // 2
    low, high = frame[: half - 4].mean(), frame[half + 4 :].mean()
    return round((low - 20) / _STEP) + 16 * round((high - 20) / _STEP)
