"""Pixels equal those of transformers' PIL processors, which equal the authors', to the last bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sensorium.model_adapters import images
from sensorium.model_adapters.images import crop_middle, pad_and_resize, prepare
from sensorium.model_adapters.plan import Plan
from sensorium.model_adapters.resampling import Picture, bicubic, fast_bicubic
from tests.families.test_plan import plan
from tests.families.test_registry import LLAVA, config

transformers = pytest.importorskip("transformers", reason="an engine extra brings it")
SIZES = [(336, 336), (640, 480), (333, 1001), (90, 17), (31, 29), (30, 800), (800, 30)]
CLIP = plan({**LLAVA, "image_aspect_ratio": "square"})
SIGLIP = plan(
    {
        **config("BunnyQwenForCausalLM", mm_vision_tower="siglip-so400m-patch14-384"),
        "image_aspect_ratio": "square",
    }
)


def noise(width: int, height: int) -> Image.Image:
    random = np.random.default_rng(width * 7919 + height)
    return Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("name", "found"), [("CLIP", CLIP), ("Siglip", SIGLIP)])
def test_resize_crop_and_normalise(name: str, found: Plan, size: tuple[int, int]) -> None:
    edge = found.image.size
    sizes = {"size": {"shortest_edge": edge}, "crop_size": {"height": edge, "width": edge}}
    if name == "Siglip":
        sizes = {"size": {"height": edge, "width": edge}}
    processor = getattr(transformers, f"{name}ImageProcessorPil")(**sizes)
    image = noise(*size)
    expected = np.asarray(processor(image, return_tensors="np")["pixel_values"])
    assert np.array_equal(normalise(prepare(image, found), found), expected)


def normalise(pixels: Any, found: Plan) -> Any:
    """Scaled in double precision, normalised in single, as transformers does."""
    scaled = (pixels.astype(np.float64) * (1 / 255)).astype(np.float32)
    mean, std = (
        np.array(value, dtype=np.float32)[:, None, None]
        for value in (found.image.mean, found.image.std)
    )
    return (scaled - mean) / std


@pytest.mark.parametrize("size", [(90, 50), (50, 90), (64, 64), (7, 300), (300, 7)], ids=str)
def test_a_long_image_is_padded_and_resized_in_bands(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.asarray(noise(*size))
    whole = pad_and_resize(image, (122, 116, 104), 56).astype(int)
    monkeypatch.setattr(images, "_LONG_EDGE", 1)
    monkeypatch.setattr(images, "_BAND", 13)
    bands = pad_and_resize(image, (122, 116, 104), 56)
    # Boxes are single precision in PIL: a pixel may round the other way.
    assert np.abs(whole - bands).max() <= 1
    assert np.mean(whole != bands) < 0.01


@pytest.mark.parametrize(
    "size",
    [(640, 360), (360, 640), (640, 17), (333, 100), (500, 333), (90, 50), (5, 336), (12, 84)],
    ids=str,
)
@pytest.mark.parametrize("target", [336, 56])
def test_what_lies_far_from_a_padded_picture_need_not_be_computed(
    size: tuple[int, int], target: int
) -> None:
    image, edge = noise(*size), max(size)
    square = Image.new("RGB", (edge, edge), (122, 116, 104))
    square.paste(image, ((edge - size[0]) // 2, (edge - size[1]) // 2))
    whole = square.resize((target, target), Image.Resampling.BICUBIC)
    found = pad_and_resize(np.asarray(image), (122, 116, 104), target)
    assert np.array_equal(found, np.asarray(whole))


@pytest.mark.parametrize("size", [(30, 800), (800, 30), (4, 901)], ids=str)
def test_a_thin_image_is_cropped_before_it_is_resized(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.asarray(noise(*size))
    whole = images.resize_and_crop(image, CLIP.image, size)
    monkeypatch.setattr(images, "_LONGEST", 1)
    assert np.array_equal(images.resize_and_crop(image, CLIP.image, size), whole)


def test_padding_is_the_truncated_mean_around_the_middle() -> None:
    white = np.full((3, 9, 3), 255, np.uint8)
    square = pad_and_resize(white, CLIP.image.pad_colour, 9)
    assert (square[:2] == (122, 116, 104)).all()
    assert (square[4] == 255).all()


@pytest.mark.parametrize("aspect", ["pad", "crop"])
@pytest.mark.parametrize("size", [(1, 65_000), (65_000, 1)], ids=str)
def test_the_thinnest_images_take_little_memory(aspect: str, size: tuple[int, int]) -> None:
    found = replace(CLIP, image=replace(CLIP.image, aspect=aspect))
    assert prepare(Image.new("RGB", size, (9, 9, 9)), found).shape == (1, 3, 336, 336)


def test_a_hidden_colour_below_alpha_shows() -> None:
    seen = Image.new("RGBA", (8, 8), (10, 200, 30, 0))
    plain = Image.new("RGB", (8, 8), (10, 200, 30))
    assert np.array_equal(prepare(seen, CLIP), prepare(plain, CLIP))


def test_another_mean_gives_another_padding() -> None:
    padded = replace(CLIP, image=replace(CLIP.image, aspect="pad"))
    other = replace(padded, image=replace(padded.image, mean=(0.5, 0.5, 0.5)))
    image = noise(40, 20)
    assert not np.array_equal(prepare(image, padded), prepare(image, other))


@pytest.mark.parametrize("aspect", ["pad", "crop"])
@pytest.mark.parametrize("size", [(1280, 720), (721, 1281)], ids=str)
def test_a_picture_decoded_at_half_its_size_gets_the_same_shape(
    aspect: str, size: tuple[int, int]
) -> None:
    found = replace(CLIP, image=replace(CLIP.image, aspect=aspect))
    smooth = noise(16, 16).resize(size, Image.Resampling.BICUBIC)
    half = smooth.resize((-(-size[0] // 2), -(-size[1] // 2)), Image.Resampling.BOX)
    whole, small = prepare(smooth, found), prepare(half, found, size)
    assert np.abs(whole.astype(int) - small).mean() < 1


@pytest.mark.parametrize("size", [(1280, 720), (57, 301), (336, 336)], ids=str)
def test_the_fast_resampler_differs_by_one_level_in_few_values(size: tuple[int, int]) -> None:
    image = np.asarray(noise(*size))
    exact, fast = (resample(image, (336, 200)).astype(int) for resample in (bicubic, fast_bicubic))
    assert np.abs(exact - fast).max() <= 1
    assert np.mean(exact != fast) < 0.01


@pytest.mark.parametrize(
    "size",
    [
        (640, 360),
        (1280, 720),
        (720, 1280),
        (641, 487),
        (500, 336),
        (999, 336),
        (90, 60),
        (336, 336),
    ],
    ids=str,
)
def test_a_middle_alone_is_nearly_the_middle_of_the_whole(size: tuple[int, int]) -> None:
    picture = np.array(noise(64, 48).resize(size, Image.Resampling.BICUBIC))
    whole, alone = (
        crop_middle(picture, 336, size, fast_bicubic, nearly=nearly).astype(int)
        for nearly in (False, True)
    )
    assert alone.shape == whole.shape == (336, 336, 3)
    difference = np.abs(alone - whole)
    assert difference.mean() < 0.1
    assert difference.max() <= 3


def test_what_a_crop_does_not_show_is_not_resized() -> None:
    made = []

    def resample(picture: Picture, size: tuple[int, int]) -> Picture:
        made.append((picture.shape, size))
        return np.zeros((size[1], size[0], 3), np.uint8)

    crop_middle(np.zeros((360, 640, 3), np.uint8), 336, (1280, 720), resample, nearly=True)
    assert made == [((360, 372, 3), (347, 336))]


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_squares_are_stacked_the_same_with_and_without_opencv(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    canvas = np.asarray(noise(64, 64)).astype(kind)
    tiles = [canvas[:32, 32:], canvas[7:39, :32], canvas[:32, :32].copy()]
    made = images.stacked(tiles)
    monkeypatch.setattr(images, "_HAS_OPENCV", False)
    assert np.array_equal(made, images.stacked(tiles))
    assert np.array_equal(made, np.stack([tile.transpose(2, 0, 1) for tile in tiles]))
