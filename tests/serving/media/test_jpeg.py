"""OpenCV's JPEG pixels are Pillow's, in every size; what it would not refuse is left to Pillow."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="an engine extra brings it")
pytest.importorskip("cv2", reason="an engine extra brings it")

from sensorium.serving.media.jpeg import decode_jpeg
from tests.serving.media.test_image_work import decoded, file, photo


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def drafted(content: bytes, smaller: int) -> Image.Image:
    image = opened(content)
    image.draft("RGB", (image.width // smaller, image.height // smaller))
    return image


@pytest.mark.parametrize("smaller", [1, 2, 4, 8])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
def test_pixels_are_pillows(smaller: int, subsampling: str, progressive: bool) -> None:
    picture = photo(331, 247)
    content = file(picture, "JPEG", subsampling=subsampling, progressive=progressive)
    found = decode_jpeg(opened(content), content, smaller)
    expected = np.asarray(drafted(content, smaller))
    assert expected.shape == (-(-247 // smaller), -(-331 // smaller), 3)
    assert found is not None
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_pictures_stand_as_pillow_turns_them(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = file(photo(40, 24), "JPEG", exif=exif)
    fast, exact = (np.asarray(decoded(content, exact=exact)) for exact in (False, True))
    assert np.array_equal(fast, exact)


def test_a_file_of_red_green_and_blue_itself() -> None:
    content = file(photo(40, 24), "JPEG", keep_rgb=True)
    assert np.array_equal(decoded(content), decoded(content, exact=True))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colours_are_left_to_pillow(mode: str) -> None:
    content = file(photo(40, 24).convert(mode), "JPEG")
    assert decode_jpeg(opened(content), content) is None


def test_a_file_that_is_cut_off_is_refused() -> None:
    content = file(photo(200, 100), "JPEG")
    assert decode_jpeg(opened(content), content[:-2]) is None
    with pytest.raises(OSError, match="truncated"):
        decoded(content[: len(content) // 2])


def test_a_header_alone_is_refused() -> None:
    content = file(photo(200, 100), "JPEG")
    picture: Any = opened(content)
    scan = content.index(b"\xff\xda")
    assert decode_jpeg(picture, content[:scan] + b"\xff\xd9") is None
