"""Pixels equal those of transformers' PIL processors, which equal the authors', to the last bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sensorium.model_adapters.images import pad_to_square, prepare
from sensorium.model_adapters.plan import Plan
from tests.families.test_plan import plan
from tests.families.test_registry import LLAVA, config

transformers = pytest.importorskip("transformers", reason="an engine extra brings it")
SIZES = [(336, 336), (640, 480), (333, 1001), (90, 17), (31, 29), (2, 2000)]
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
    assert np.array_equal(prepare(image, found), expected)


def test_padding_keeps_every_pixel_and_adds_the_truncated_mean() -> None:
    image = noise(9, 5)
    square = pad_to_square(image, CLIP.image.pad_colour)
    assert square.size == (9, 9)
    assert square.getpixel((0, 0)) == (122, 116, 104)
    assert np.array_equal(np.asarray(square)[2:7], np.asarray(image))
    assert pad_to_square(noise(5, 9), (1, 2, 3)).getpixel((8, 0)) == (1, 2, 3)


def test_a_hidden_colour_below_alpha_shows() -> None:
    seen = Image.new("RGBA", (8, 8), (10, 200, 30, 0))
    plain = Image.new("RGB", (8, 8), (10, 200, 30))
    assert np.array_equal(prepare(seen, CLIP), prepare(plain, CLIP))


def test_another_mean_gives_other_pixels() -> None:
    image = noise(40, 20)
    other = replace(CLIP, image=replace(CLIP.image, mean=(0.5, 0.5, 0.5)))
    assert not np.array_equal(prepare(image, CLIP), prepare(image, other))
