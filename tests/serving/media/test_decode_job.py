"""A picture prepared from kept pixels is the one prepared from its file."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="an engine extra brings it")

from sensorium.serving.media.fitting import Fit
from sensorium.serving.media.image_work import decode_job, image_job
from sensorium.serving.media.work import MediaRefusedError
from tests.families.test_plan import plan
from tests.families.test_registry import LLAVA
from tests.serving.media.test_image_work import HEADER, PADDED, file, photo

SIDEWAYS = Image.Exif()
SIDEWAYS[0x0112] = 6


def see_through(mode: str) -> Image.Image:
    picture = photo(92, 60).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    return picture.convert(mode)


def ramp() -> Image.Image:
    return Image.fromarray(np.linspace(0, 65535, 92 * 60, dtype=np.uint16).reshape(60, 92))


FILES = {
    "PNG": file(photo(93, 60)),
    "PNG on its side": file(photo(93, 60), exif=SIDEWAYS),
    "large PNG": file(photo(1280, 720)),
    "grey PNG": file(photo(93, 60).convert("L")),
    "see-through PNG": file(see_through("RGBA")),
    "see-through grey": file(see_through("LA")),
    "see-through WebP": file(see_through("RGBA"), "WEBP"),
    "AVIF": file(photo(92, 60), "AVIF"),
    "HEIF": file(photo(92, 60), "HEIF"),
    "JPEG 2000": file(photo(92, 60), "JPEG2000"),
}
# Their pixels are not all that is needed.
UNKEPT = {
    "palette": file(photo(92, 60).convert("P")),
    "one colour is clear": file(Image.new("RGB", (40, 30), "red"), transparency=(255, 0, 0)),
    "16 bits": file(ramp()),
    "print colours": file(photo(92, 60).convert("CMYK"), "TIFF"),
    "an icon with a palette": file(photo(32, 32).convert("P"), "ICO", sizes=[(32, 32)]),
    "black and white": file(photo(92, 60).convert("1")),
}
WAYS: dict[str, dict[str, Any]] = {
    "whole": {},
    "whole, over red": {"background": [255, 0, 0]},
    "as it is": {"mode": None},
    "grey": {"mode": "L"},
    "padded squares": {"recipe": PADDED},
    "cropped squares": {"recipe": plan(LLAVA).recipe()},
    "fitted": {"recipe": Fit("area", 56 * 56, 28 * 28 * 64, 28).recipe()},
}
MOST = 1280 * 720 * 4


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("content", FILES.values(), ids=FILES.keys())
def test_from_pixels_and_from_the_file(content: bytes, way: dict[str, Any], exact: bool) -> None:
    header = {**HEADER, **way, "exact": exact}
    made, pixels = decode_job({**header, "most": MOST}, content)
    drawn = json.loads(json.dumps(made["drawn"]))
    found, from_pixels = image_job({**header, "drawn": drawn}, bytes(pixels))
    expected, from_file = image_job(header, content)
    del found["milliseconds"], expected["milliseconds"]
    assert found == expected
    assert np.array_equal(*(np.frombuffer(x, np.uint8) for x in (from_pixels, from_file)))


@pytest.mark.parametrize("content", UNKEPT.values(), ids=UNKEPT.keys())
def test_what_pixels_do_not_say_is_not_kept(content: bytes) -> None:
    made, pixels = decode_job({**HEADER, "most": MOST}, content)
    assert (made["drawn"], pixels) == (None, b"")


def test_what_is_too_large_is_not_kept() -> None:
    made, pixels = decode_job({**HEADER, "most": MOST - 1}, FILES["large PNG"])
    assert (made["drawn"], pixels) == (None, b"")


def test_limits_hold_for_it() -> None:
    with pytest.raises(MediaRefusedError, match="at most 5,000 are taken"):
        decode_job({**HEADER, "max_pixels": 5_000, "most": MOST}, FILES["PNG"])
