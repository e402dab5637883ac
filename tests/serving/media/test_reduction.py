"""Which JPEG files are decoded smaller, and that what is seen of those hardly changes."""

from __future__ import annotations

import io
import itertools

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFont

pytest.importorskip("torch", reason="an engine extra brings it")

from sensorium.serving.media import reduction
from sensorium.serving.media.fitting import Fit
from sensorium.serving.media.image_work import image_job
from sensorium.serving.media.reduction import decode_reduced
from tests.serving.media.test_image_work import HEADER, file, photo

SIZE = (640, 368)


def letters(height: int) -> Image.Image:
    """A page of black letters, so many pixels high."""
    page, font = Image.new("RGB", SIZE, "white"), ImageFont.load_default(size=height)
    pen, line = ImageDraw.Draw(page), "The quick brown fox jumps over the lazy dog 0123456789 " * 3
    for top in range(4, SIZE[1] - height, height * 7 // 5):
        pen.text((8, top), line, "black", font=font)
    return page


def noise(strength: float) -> Image.Image:
    grains = np.random.default_rng(2).normal(128, strength, (SIZE[1], SIZE[0], 3))
    return Image.fromarray(grains.clip(0, 255).astype(np.uint8))


def soft() -> Image.Image:
    """As a camera gives it that is a little out of focus."""
    return photo(160, 92).resize(SIZE, Image.Resampling.BICUBIC)


PICTURES = {
    "photo": lambda: photo(*SIZE),
    "soft photo": soft,
    "plain": lambda: Image.new("RGB", SIZE, (200, 30, 90)),
    "letters of 8": lambda: letters(8),
    "letters of 16": lambda: letters(16),
    "letters of 50": lambda: letters(50),
    "soft noise": lambda: noise(8),
    "hard noise": lambda: noise(40),
}


def reduced(content: bytes, wanted: tuple[int, int], *, padded: bool = False) -> object:
    image = Image.open(io.BytesIO(content))
    found = decode_reduced(image, content, wanted, padded=padded)
    return None if found is None else np.asarray(found).shape


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("quality", [75, 90])
def test_it_changes_little(name: str, quality: int) -> None:
    """The bounds that docs/media.md states, of any picture in any size."""
    content = file(PICTURES[name](), "JPEG", quality=quality)
    for times, room in itertools.product((2, 4), (1.06, 1.3, 1.9)):
        fit = Fit("stretch", *(int(side / times / room) for side in SIZE))
        difference = np.abs(seen(content, fit, exact=False) - seen(content, fit, exact=True))
        assert difference.mean() < 1.6, (times, room)
        assert difference.max() <= 56, (times, room)


def seen(content: bytes, fit: Fit, *, exact: bool) -> npt.NDArray[np.int64]:
    _, pixels = image_job({**HEADER, "recipe": fit.recipe(), "exact": exact}, content)
    return np.asarray(pixels).astype(int)


@pytest.mark.parametrize(
    ("wanted", "shape"),
    [
        ((304, 175), (184, 320, 3)),
        ((310, 178), None),
        ((152, 87), (92, 160, 3)),
        ((76, 43), (46, 80, 3)),
        ((1, 1), (46, 80, 3)),
    ],
    ids=str,
)
def test_a_soft_picture_is_decoded_smaller(
    wanted: tuple[int, int], shape: tuple[int, ...] | None
) -> None:
    assert reduced(file(soft(), "JPEG"), wanted) == shape


def test_a_page_of_letters_is_decoded_whole_or_nearly() -> None:
    assert reduced(file(letters(16), "JPEG"), (300, 170)) is None
    # An eighth of it would be too coarse, half of it is not.
    assert reduced(file(letters(16), "JPEG"), (40, 23)) == (184, 320, 3)


def test_many_bytes_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    content = file(noise(40), "JPEG", quality=90)
    monkeypatch.setattr(reduction, "decode_jpeg", None)
    assert reduced(content, (300, 170)) is None


@pytest.mark.parametrize(
    ("size", "padded", "shape"),
    [
        ((301, 200), False, None),
        ((310, 200), False, (100, 155, 3)),
        ((310, 200), True, None),  # a border of 55 rows
        ((312, 200), True, (100, 156, 3)),
    ],
    ids=str,
)
def test_only_by_what_divides_sides_and_border(
    size: tuple[int, int], padded: bool, shape: tuple[int, ...] | None
) -> None:
    wanted = size[0] // 3, size[1] // 3
    content = file(soft().resize(size), "JPEG")
    assert reduced(content, wanted, padded=padded) == shape


def test_greys_are_decoded_smaller_too() -> None:
    assert reduced(file(soft().convert("L"), "JPEG"), (300, 170)) == (184, 320)


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_other_formats_are_not(form: str) -> None:
    assert reduced(file(photo(64, 64), form), (8, 8)) is None
