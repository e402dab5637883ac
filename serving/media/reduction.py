"""JPEG files decoded at a half, a quarter or an eighth, where what is seen of them hardly changes.

libjpeg leaves out the finer half of the detail, which resizing the whole picture would have left
out more gently. How much that changes goes by how much fine detail there is in what it decoded, and
by how much smaller the picture is still to become. Measured on photographs, drawings, scans and
pages of letters of 8 to 50 pixels, at qualities 75 and 90: a hundredth to a seventh of `_detail`
in the mean of 8-bit values, a seventh at a room of 1.05, a tenth at 1.3. So a soft picture is
decoded small, and a page of letters whole (tests/serving/media/test_reduction.py).
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

from sensorium.serving.media.jpeg import decode_jpeg

__all__ = ["decode_reduced"]

# A picture is decoded at no less than this many times the size that it is needed in.
_GAP = 1.05
# The most detail, and the most bits of file a pixel (where trying would be for nothing), for each
# time that the decoded picture is as large as it is needed.
_DETAIL, _BITS = 11.0, 2.0
# Rows and columns that are looked at.
_LINES = 32


def decode_reduced(
    image: Image.Image, content: bytes, wanted: tuple[int, int], *, padded: bool
) -> npt.NDArray[np.uint8] | Image.Image | None:
    """The picture as stored, smaller, but no smaller than `wanted`; None where only whole will do.

    `image` is the file `content` as Pillow opened it, and stays undecoded. `padded`: the picture
    becomes the middle of a square.
    """
    if image.format not in ("JPEG", "MPO") or image.mode not in ("RGB", "L"):
        return None
    for times, room in _reductions(image.size, wanted, padded=padded):
        if 8 * len(content) > _BITS * room * image.width * image.height:
            continue
        found = decode_jpeg(image, content, times)
        smaller = _by_pillow(image, content, times) if found is None else found
        if _detail(np.asarray(smaller)) <= _DETAIL * room:
            return smaller
    return None


def _reductions(
    size: tuple[int, int], wanted: tuple[int, int], *, padded: bool
) -> Iterator[tuple[int, float]]:
    """By how much a picture may be decoded smaller, and how many times too large it still is then.

    Only by what divides its sides: half a column left over would stretch the rest. The same goes
    for the border of a padded picture.
    """
    border = abs(size[0] - size[1]) // 2 if padded else 0
    for times in (8, 4, 2):
        room = min(side / times / max(1, needed) for side, needed in zip(size, wanted, strict=True))
        if room >= _GAP and not any(edge % times for edge in (*size, border)):
            yield times, room


def _by_pillow(image: Image.Image, content: bytes, times: int) -> Image.Image:
    again = Image.open(io.BytesIO(content), formats=(image.format or "JPEG",))
    again.draft(again.mode, (again.width // times, again.height // times))
    again.load()
    return again


def _detail(picture: npt.NDArray[np.uint8]) -> float:
    """By how much a point differs from those beside it, more than they do: the mean, in levels.

    The absolute second difference of the greens, along some rows and some columns.
    """
    greens = picture[..., 1] if picture.ndim == 3 else picture
    means = []
    for lines in (greens, greens.T):
        some = lines[:: max(1, len(lines) // _LINES)].astype(np.int16)
        bends = np.abs(some[:, 2:] - 2 * some[:, 1:-1] + some[:, :-2])
        means.append(bends.sum() / max(1, bends.size))
    return float(sum(means)) / 2
