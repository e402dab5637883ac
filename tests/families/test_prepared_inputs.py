"""Prepared pictures become what vLLM's own way through its processor makes of the same pictures."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("vllm", reason="an engine extra brings it")

from PIL import Image
from vllm.config import ModelConfig
from vllm.exceptions import VLLMValidationError
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.cache.lru import LruKeyReplicatedSenderCache
from vllm.multimodal.media.base import MediaWithBytes
from vllm.multimodal.processing import BaseMultiModalProcessor, ProcessorInputs, TimingContext

import sensorium.serving.engine.plugin
from sensorium.model_adapters.engine.prepared import PreparedImage
from sensorium.serving.engine.native_pictures import recipe_for
from sensorium.serving.media.image_work import image_job
from tests.families.checkpoints import BUILDERS
from tests.families.native_checkpoints import NATIVE, PREPARED_ONLY
from tests.serving.media.test_image_work import HEADER, file, photo

pytestmark = pytest.mark.filterwarnings("default")
SIZES = ((150, 70), (60, 120), (301, 97), (56, 56), (40, 33))
OFF = TimingContext(enabled=False)
COMPOSED = ("llava-v1.5", "llava-next")
PREPARED = (
    *(name for name in NATIVE if name not in ("deepseek_vl2", "qwen2_audio")),
    *PREPARED_ONLY,
)


@pytest.fixture(scope="module", params=[*COMPOSED, *PREPARED])
def processor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("prepared") / request.param
    folder.mkdir()
    (BUILDERS | NATIVE | PREPARED_ONLY)[request.param](folder)
    sensorium.serving.engine.plugin.register()
    config = ModelConfig(model=str(folder), dtype="float32", mm_processor_cache_gb=0.01)
    return MULTIMODAL_REGISTRY.create_processor(config)


def contents() -> list[bytes]:
    return [file(photo(*size, seed=number)) for number, size in enumerate(SIZES)]


def prepared(processor: Any, content: bytes) -> MediaWithBytes[Any]:
    """As the server's media path hands a picture over."""
    recipe = recipe_for(processor, processor.info.ctx.get_mm_config())
    assert recipe == processor.recipe
    answer, pixels = image_job({**HEADER, "recipe": recipe, "exact": True}, content)
    return MediaWithBytes(PreparedImage(answer["size"], pixels, recipe), content)


def decoded(content: bytes) -> MediaWithBytes[Any]:
    import io

    return MediaWithBytes(Image.open(io.BytesIO(content)).convert("RGB"), content)


def request(processor: Any, pictures: Sequence[Any], cache: Any, **options: Any) -> ProcessorInputs:
    tokenizer = processor.info.get_tokenizer()
    text = processor.dummy_inputs.get_dummy_text({"image": len(pictures)})
    items = processor.info.parse_mm_data({"image": list(pictures)}, validate=False)
    prompt = tokenizer.encode(f"Look: {text} what is it?")
    return ProcessorInputs(prompt, items, **options, cache=cache)


def run(
    processor: Any, make: Callable[[Any, bytes], Any], *, cached: bool, own: bool = False
) -> list[Any]:
    """What becomes of several requests in turn, some of whose pictures came before."""
    files = contents()
    cache = LruKeyReplicatedSenderCache(processor.info.ctx.model_config) if cached else None
    turns = [[0], [1, 0, 2], [3, 3], [1], [4, 0, 3, 2]]
    apply = BaseMultiModalProcessor.apply if own else type(processor).apply
    return [
        apply(processor, request(processor, [make(processor, files[i]) for i in turn], cache), OFF)
        for turn in turns
    ]


def tensors(processor: Any, item: Any) -> dict[str, Any]:
    """What a tower is given of a picture, made of 8-bit values where that is left to the engine."""
    if item is None:
        return {}
    import torch
    from vllm.model_executor.models.idefics3 import Idefics3MultiModalProcessor

    from sensorium.model_adapters.engine.native.idefics3 import with_mask
    from sensorium.model_adapters.engine.native.patches import PatchInputs, spread_stills
    from sensorium.model_adapters.engine.native.qwen_omni import normalise_stills
    from sensorium.model_adapters.engine.native.squares import NORMAL, normalise

    found = dict(item.get_data())
    if NORMAL in found and isinstance(processor, PatchInputs):
        found = normalise_stills({**found, NORMAL: found[NORMAL][None]}, torch.float32)
    if isinstance(processor, PatchInputs):
        found = spread_stills(found, processor.info.get_hf_config().vision_config)
    one = {key: value[None] for key, value in found.items()}
    found = {key: value[0] for key, value in normalise(one, torch.float32).items()}
    return dict(with_mask(found)) if isinstance(processor, Idefics3MultiModalProcessor) else found


@pytest.mark.parametrize("cached", [False, True], ids=["no cache", "cache"])
def test_the_engine_gets_what_vllm_would_send(
    processor: Any, cached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = run(processor, prepared, cached=cached)
    kind = type(processor)
    monkeypatch.delattr(_owner(kind), "_cached_apply_hf_processor")
    theirs = run(processor, lambda _, content: decoded(content), cached=cached)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["prompt_token_ids"] == other["prompt_token_ids"]
        assert mine["mm_placeholders"] == other["mm_placeholders"]
        items, wanted = mine["mm_kwargs"]["image"], other["mm_kwargs"]["image"]
        assert [item is None for item in items] == [item is None for item in wanted]
        for item, want in zip(items, wanted, strict=True):
            _assert_same(tensors(processor, item), tensors(processor, want))
    if cached:
        assert any(item is None for made in ours for item in made["mm_kwargs"]["image"])


def _owner(kind: type) -> type:
    return next(one for one in kind.__mro__ if "_cached_apply_hf_processor" in one.__dict__)


def _assert_same(mine: dict[str, Any], other: dict[str, Any]) -> None:
    assert mine.keys() == other.keys()
    for key, value in mine.items():
        want = other[key]
        assert value.dtype == want.dtype, key
        # A batch of vLLM's has as many squares for each picture as the largest one needs.
        want = want[: len(value)] if key == "pixel_values" else want
        np.testing.assert_array_equal(value.numpy(), want.numpy(), err_msg=key)


@pytest.mark.parametrize("processor", ["qwen2_vl", "qwen3_vl"], indirect=True)
@pytest.mark.parametrize("cached", [False, True], ids=["no cache", "cache"])
def test_videos_beside_pictures_are_vllms(processor: Any, cached: bool) -> None:
    text = processor.dummy_inputs.get_dummy_text({"image": 1, "video": 1})
    prompt = processor.info.get_tokenizer().encode(f"{text} what happens?")
    frames = np.stack([np.asarray(photo(84, 56, seed=number)) for number in range(4)])
    known = {"fps": 2.0, "duration": 2.0, "total_num_frames": 4, "frames_indices": [0, 1, 2, 3]}
    clip = (frames, {**known, "video_backend": "opencv", "do_sample_frames": False})

    def made(make: Callable[[Any, bytes], Any]) -> list[Any]:
        cache = LruKeyReplicatedSenderCache(processor.info.ctx.model_config) if cached else None
        found = []
        for content in [*contents()[:2], contents()[0]]:
            media = {"image": [make(processor, content)], "video": [clip]}
            items = processor.info.parse_mm_data(media, validate=False)
            found.append(processor.apply(ProcessorInputs(prompt, items, cache=cache), OFF))
        return found

    for ours, theirs in zip(made(prepared), made(lambda _, file: decoded(file)), strict=True):
        assert ours["prompt_token_ids"] == theirs["prompt_token_ids"]
        assert ours["mm_placeholders"] == theirs["mm_placeholders"]
        assert ours["mm_hashes"]["video"] == theirs["mm_hashes"]["video"]
        (image, video), (other, same) = (
            [made["mm_kwargs"][kind][0] for kind in ("image", "video")] for made in (ours, theirs)
        )
        assert (image is None) == (other is None)
        _assert_same(tensors(processor, image), tensors(processor, other))
        assert video == same


def test_pixel_limits_of_the_server_hold(tmp_path: Path) -> None:
    NATIVE["qwen2_vl"](tmp_path / "qwen2_vl")
    sensorium.serving.engine.plugin.register()
    made = []
    for limits in ({}, {"max_pixels": 28 * 28 * 6}):
        model = str(tmp_path / "qwen2_vl")
        config = ModelConfig(model=model, dtype="float32", mm_processor_kwargs=limits)
        processor = MULTIMODAL_REGISTRY.create_processor(config)
        for content in contents():
            ours, theirs = (
                processor.apply(request(processor, [picture], None), OFF)
                for picture in (prepared(processor, content), decoded(content))
            )
            assert ours["prompt_token_ids"] == theirs["prompt_token_ids"]
            items = (each["mm_kwargs"]["image"][0] for each in (ours, theirs))
            _assert_same(*(tensors(processor, item) for item in items))
            made.append(len(ours["prompt_token_ids"]))
    unlimited, limited = made[: len(SIZES)], made[len(SIZES) :]
    assert max(limited) < max(unlimited)


def test_a_captured_tower_gets_what_it_was_captured_with() -> None:
    import torch

    from sensorium.model_adapters.engine.native.patches import SpreadsStills

    class Theirs:
        def select_encoder_cudagraph_items(self, inputs: Any, indices: list[int]) -> Any:
            return inputs

    class Model(SpreadsStills, Theirs):
        config = SimpleNamespace(vision_config=SimpleNamespace(temporal_patch_size=2))

    patches = torch.arange(24, dtype=torch.uint8).view(2, 12)
    inputs = {"pixel_values": patches, "is_still": torch.tensor([True])}
    found = Model().select_encoder_cudagraph_items(inputs, [0])
    assert list(found) == ["pixel_values"]
    twice = patches.view(2, 3, 1, 4).repeat(1, 1, 2, 1).view(2, 24)
    assert torch.equal(found["pixel_values"], twice)
    assert Model().select_encoder_cudagraph_items(found, [0]) == found


def test_names_are_vllms(processor: Any) -> None:
    pictures = [prepared(processor, content) for content in contents()[:2]]
    for options in ({}, {"mm_uuid_items": {"image": ["a", "b"]}}):
        inputs = request(processor, pictures, None, **options)
        assert processor.apply(inputs, OFF)["mm_hashes"] == processor._get_mm_hashes(inputs)
    assert processor._get_mm_hashes(inputs) == {"image": ["a", "b"]}


def test_a_picture_that_is_only_named_must_be_known(processor: Any) -> None:
    cache = LruKeyReplicatedSenderCache(processor.info.ctx.model_config)
    picture = prepared(processor, contents()[0])
    named = {"mm_uuid_items": {"image": ["a", "b"]}}
    inputs = request(processor, [picture, picture], cache, **named)
    processor.apply(inputs, OFF)
    again = processor.apply(request(processor, [None, picture], cache, **named), OFF)
    assert again["mm_kwargs"]["image"] == [None, None]
    unknown = {"mm_uuid_items": {"image": ["c", "b"]}}
    with pytest.raises(VLLMValidationError, match="image 0 was given by its uuid alone"):
        processor.apply(request(processor, [None, picture], cache, **unknown), OFF)


def test_a_picture_for_another_model_is_refused(processor: Any) -> None:
    pixels = np.zeros((1, 3, 56, 56), np.uint8)
    other = MediaWithBytes(PreparedImage((56, 56), pixels, "another"), b"x")
    with pytest.raises(VLLMValidationError, match="prepared for another model"):
        processor.apply(request(processor, [other], None), OFF)


@pytest.mark.parametrize("seed", range(3))
def test_any_size_becomes_the_same_squares(processor: Any, seed: int) -> None:
    draw = random.Random(seed)
    for number in range(6):
        content = file(photo(draw.randint(20, 400), draw.randint(20, 400), seed=number))
        made = [
            processor.apply(request(processor, [picture], None), OFF)
            for picture in (prepared(processor, content), decoded(content))
        ]
        ours, theirs = (tensors(processor, each["mm_kwargs"]["image"][0]) for each in made)
        assert made[0]["prompt_token_ids"] == made[1]["prompt_token_ids"]
        _assert_same(ours, theirs)
