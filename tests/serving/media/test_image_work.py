"""What a worker makes of image files: modes, sizes, turns, limits."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

pytest.importorskip("torch", reason="an engine extra brings it")

from sensorium.serving.media.image_work import image_job
from sensorium.serving.media.work import MediaRefusedError
from tests.families.test_plan import plan
from tests.families.test_registry import LLAVA

HEADER: dict[str, Any] = {
    "max_pixels": 10_000_000,
    "exact": False,
    "recipe": "",
    "mode": "RGB",
    "background": [255, 255, 255],
}
PADDED = plan({**LLAVA, "image_aspect_ratio": "pad"}).recipe()


def photo(width: int, height: int, seed: int = 1) -> Image.Image:
    """Soft shapes and fine noise, as a camera gives them."""
    random = np.random.default_rng(seed)
    shapes = random.integers(0, 255, (height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8)
    soft = Image.fromarray(shapes).resize((width, height), Image.Resampling.BICUBIC)
    noisy = np.asarray(soft).astype(int) + random.normal(0, 3, (height, width, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def file(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def decoded(content: bytes, **changes: Any) -> Image.Image:
    answer, pixels = image_job({**HEADER, **changes}, content)
    return Image.frombytes(answer["mode"], tuple(answer["drawn"]), pixels)


@pytest.mark.parametrize(
    "form", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "HEIF", "JPEG2000"]
)
def test_every_format_is_read(form: str) -> None:
    image = Image.new("RGB", (40, 24), (200, 30, 90))
    found = np.asarray(decoded(file(image, form))).astype(int)
    assert found.shape == (24, 40, 3)
    assert np.abs(found - (200, 30, 90)).max() <= 4


def test_a_phones_photo_stands_upright() -> None:
    """HEIF turns the picture itself; its EXIF says so too and must not turn it once more."""
    image, exif = Image.new("RGB", (40, 24), "red"), Image.Exif()
    image.paste("blue", (0, 0, 20, 24))
    exif[0x0112] = 6
    found = decoded(file(image, "HEIF", exif=exif.tobytes(), quality=95))
    assert found.size == (24, 40)
    red, _, blue = (int(value) for value in np.asarray(found)[5, 12])
    assert (red < 40, blue > 200) == (True, True)


def test_what_shows_through_lies_over_the_background() -> None:
    clear = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    assert decoded(file(clear)).getpixel((1, 1)) == (255, 255, 255)
    assert decoded(file(clear), background=[1, 2, 3]).getpixel((1, 1)) == (1, 2, 3)
    assert decoded(file(clear), mode=None).getpixel((1, 1)) == (10, 20, 30, 0)


def test_sixteen_bits_are_scaled_not_cut() -> None:
    ramp = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    grey = np.asarray(decoded(file(Image.fromarray(ramp)), mode="RGB"))[..., 0]
    assert np.array_equal(grey, ramp >> 8)


def test_a_turned_photo_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (40, 20), "red")
    found = decoded(file(image, "JPEG", exif=exif))
    assert found.size == (20, 40)


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    content = file(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decoded(content).getpixel((4, 4)) == (255, 0, 0)


def test_print_colours_are_taken() -> None:
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    red, green, blue = decoded(file(image, "JPEG")).getpixel((4, 4))  # type: ignore[misc]
    assert red > 200
    assert max(green, blue) < 60


def test_a_size_is_refused_before_decoding() -> None:
    with pytest.raises(MediaRefusedError, match="at most 99 are taken"):
        image_job({**HEADER, "max_pixels": 99}, file(Image.new("1", (10, 10))))


@pytest.mark.parametrize(
    "size", [(1280, 720), (1031, 721), (640, 481), (3000, 200), (90, 50)], ids=str
)
def test_the_fast_way_stays_near_the_exact_one(size: tuple[int, int]) -> None:
    difference = difference_of(photo(*size))
    assert difference.mean() < 1
    assert difference.max() <= 24


# The second's border and the third's sides cannot be halved, the fourth is eight times too large.
@pytest.mark.parametrize(
    "size", [(1280, 720), (1030, 720), (1101, 720), (2720, 1360), (720, 1280)], ids=str
)
def test_small_black_letters_stay_near_too(size: tuple[int, int]) -> None:
    page = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(page)
    for top in range(4, size[1] - 10, 14):
        pen.text((8, top), "The quick brown fox jumps over the lazy dog 0123456789 " * 6, "black")
    difference = difference_of(page)
    assert difference.mean() < 1.6
    assert difference.max() <= 24


def difference_of(picture: Image.Image) -> npt.NDArray[np.int64]:
    content = file(picture, "JPEG", quality=85)
    fast, exact = (
        image_job({**HEADER, "recipe": PADDED, "exact": exact}, content) for exact in (False, True)
    )
    assert fast[0]["shape"] == exact[0]["shape"] == (1, 3, 336, 336)
    assert fast[0]["size"] == exact[0]["size"] == picture.size
    seen: npt.NDArray[np.int64] = np.abs(fast[1].astype(int) - exact[1])
    if picture.height < picture.width:  # the padding is the same anyway
        rows = max(1, 336 * picture.height // picture.width)
        seen = seen[:, :, (336 - rows) // 2 : (336 + rows) // 2]
    return seen
