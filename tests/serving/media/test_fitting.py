"""Pictures that are resized before a processor sees them: what it makes of them is the same."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="an engine extra brings it")

from sensorium.model_adapters.engine.prepared import RECIPES
from sensorium.model_adapters.patch_rule import PatchRule
from sensorium.serving.engine.native_pictures import fit_of, fit_pictures
from sensorium.serving.media.fitting import Fit, read_fit
from sensorium.serving.media.image_work import image_job
from tests.serving.media.test_image_work import HEADER, file, photo

SIZES = [(1280, 720), (301, 977), (640, 90), (333, 333), (97, 1201)]


def processor(kind: str, **options: Any) -> Any:
    transformers = pytest.importorskip("transformers")
    return getattr(transformers, kind)(**options)


def processors() -> dict[str, Any]:
    square = {"height": 56, "width": 56}
    edge = {"size": {"shortest_edge": 64}, "crop_size": {"height": 64, "width": 64}}
    return {
        "area": processor("Qwen2VLImageProcessor", min_pixels=56 * 56, max_pixels=28 * 28 * 60),
        "shorter": processor("CLIPImageProcessor", **edge),
        "stretch": processor("SiglipImageProcessor", size=square, resample=3),
    }


def fitted(content: bytes, fit: Fit, *, exact: bool) -> Image.Image:
    header = {**HEADER, "recipe": fit.recipe(), "exact": exact}
    answer, pixels = image_job(header, content)
    return Image.frombytes(answer["mode"], tuple(answer["drawn"]), pixels)


def pixels_of(made: Any, image: Image.Image) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = made(images=[image], return_tensors="np")["pixel_values"]
    return found


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("rule", ["area", "shorter", "stretch"])
def test_the_processor_makes_the_same_of_it(rule: str) -> None:
    made = processors()[rule]
    fit = fit_of(made)
    assert fit is not None
    assert fit.rule == rule
    for number, size in enumerate(SIZES):
        picture = photo(*size, seed=number)
        small = fitted(file(picture), fit, exact=True)
        assert small.size == (fit.target(size) or size)
        np.testing.assert_array_equal(pixels_of(made, small), pixels_of(made, picture))


@pytest.mark.filterwarnings("default")
def test_a_jpeg_decoded_smaller_is_nearly_the_same() -> None:
    made = processors()["area"]
    fit = fit_of(made)
    assert fit is not None
    content = file(photo(1280, 720), "JPEG", quality=90)
    exact, fast = (np.asarray(fitted(content, fit, exact=e)).astype(int) for e in (True, False))
    difference = np.abs(exact - fast)
    assert 0 < difference.mean() < 1
    assert difference.max() <= 24


def test_rules_are_the_processors_own() -> None:
    smart_resize = pytest.importorskip("transformers").models.qwen2_vl.image_processing_qwen2_vl
    draw = random.Random(3)
    fit = Fit("area", 3136, 47_040, 28)
    small = 0
    for _ in range(3000):
        size = draw.randint(1, 2000), draw.randint(1, 2000)
        if max(size) > 200 * min(size):
            assert fit.target(size) is None
            continue
        height, width = smart_resize.smart_resize(size[1], size[0], 28, 3136, 47_040)
        target = fit.target(size)
        small += target is not None
        assert target in (None, (width, height))
    assert small > 2000


def test_a_picture_too_long_for_patches_says_so() -> None:
    rule = PatchRule(14, 2, 3136, 47_040)
    assert rule.seen((2000, 10))[1] == 28
    with pytest.raises(ValueError, match=r"2001x10 pixels: .* more than 200 times"):
        rule.seen((2001, 10))


def test_small_pictures_are_left_alone() -> None:
    assert Fit("shorter", 64).target((63, 500)) is None
    assert Fit("shorter", 64).target((64, 500)) is None
    assert Fit("stretch", 64, 64).target((500, 63)) is None
    assert Fit("shorter", 64).target((128, 500)) == (64, 250)
    assert read_fit(Fit("stretch", 64, 48).recipe()) == Fit("stretch", 64, 48)


@pytest.mark.filterwarnings("default")
def test_other_processors_have_no_rule() -> None:
    assert fit_of(None) is None
    assert fit_of(processor("CLIPImageProcessor", do_resize=False)) is None
    assert fit_of(processor("CLIPImageProcessor", resample=2)) is None
    assert fit_of(processor("LlavaNextImageProcessor")) is None


def engine_of(image_processor: Any, **config: Any) -> Any:
    info = SimpleNamespace(
        get_hf_processor=lambda: SimpleNamespace(image_processor=image_processor)
    )
    options = {"mm_processor_kwargs": None, "media_io_kwargs": {}, **config}
    return SimpleNamespace(
        renderer=SimpleNamespace(mm_processor=SimpleNamespace(info=info)),
        model_config=SimpleNamespace(multimodal_config=SimpleNamespace(**options)),
    )


@pytest.mark.filterwarnings("default")
def test_a_models_pictures_are_fitted_where_nothing_else_is_asked_for() -> None:
    known = processors()["stretch"]
    engine = engine_of(known)
    fit_pictures(engine)
    recipe = engine.model_config.multimodal_config.media_io_kwargs["image"]["recipe"]
    assert read_fit(recipe) == fit_of(known)
    assert recipe in RECIPES
    given: dict[str, Any] = {"image": {"recipe": "a plan"}}
    for other in (
        engine_of(known, mm_processor_kwargs={"size": 3}),
        engine_of(known, media_io_kwargs=given),
        engine_of(None),
    ):
        before = dict(other.model_config.multimodal_config.media_io_kwargs)
        fit_pictures(other)
        assert other.model_config.multimodal_config.media_io_kwargs == before


def test_transparent_and_grey_pictures_come_out_as_rgb() -> None:
    fit = Fit("stretch", 8, 8)
    clear = Image.new("RGBA", (40, 40), (10, 20, 30, 0))
    assert fitted(file(clear), fit, exact=False).getpixel((1, 1)) == (255, 255, 255)
    assert fitted(file(Image.new("L", (40, 40), 9)), fit, exact=False).size == (8, 8)
