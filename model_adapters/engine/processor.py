"""vLLM's view of a composed model's inputs: images and videos to pixels, marks to placeholders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import accumulate
from typing import Any

import torch
from PIL import Image
from transformers import BatchFeature
from vllm.exceptions import VLLMValidationError
from vllm.multimodal.image import normalize_image
from vllm.multimodal.inputs import MultiModalFieldConfig
from vllm.multimodal.media.base import MediaWithBytes
from vllm.multimodal.parse import ImageProcessorItems, MultiModalDataItems, MultiModalDataParser
from vllm.multimodal.processing import (
    BaseDummyInputsBuilder,
    BaseMultiModalProcessor,
    BaseProcessingInfo,
    ProcessorInputs,
    PromptReplacement,
    PromptUpdateDetails,
    TimingContext,
)

from sensorium.model_adapters.engine.config import ComposedConfig
from sensorium.model_adapters.engine.prepared import PreparedImage
from sensorium.model_adapters.engine.prepared_inputs import Fields, PreparedInputs
from sensorium.model_adapters.engine.video_inputs import frames_of, spoken_times
from sensorium.model_adapters.images import prepare, prepare_frames
from sensorium.model_adapters.layouts import ClassLastLayout
from sensorium.model_adapters.plan import Plan
from sensorium.model_adapters.prompt_style import IMAGE_MARK, VIDEO_MARK

__all__ = ["DummyInputs", "Information", "MediaInputs"]

# Whether a request's images are several. Among the options of its processor, so that vLLM's caches
# keep an image that was prepared alone apart from the same image among others.
_IMAGE_OPTIONS = "images_kwargs"


class _Prepare:
    """Images and videos to pixels, in the shape of a transformers processor."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.recipe = plan.recipe()

    def __call__(
        self, images: Sequence[Any] = (), videos: Sequence[Any] = (), **kwargs: Any
    ) -> BatchFeature:
        """Pixels of all images in a row and of all videos, and what tells them apart.

        Of images: how many squares each has, its size, and whether it is one of several; of
        videos: how many pictures and how many frames each has.
        """
        fields: dict[str, torch.Tensor] = {}
        if len(images):
            several = _several(kwargs)
            pixels = [torch.from_numpy(self._squares(image, several)) for image in images]
            fields["pixel_values"] = pixels[0] if len(pixels) == 1 else torch.cat(pixels)
            fields["squares"] = torch.tensor([len(squares) for squares in pixels])
            fields["image_sizes"] = torch.tensor([image.size for image in images])
            fields["several"] = torch.tensor([several] * len(pixels))
        if len(videos):
            frames = [frames_of(video) for video in videos]
            pixels = [torch.from_numpy(prepare_frames(video, self.plan)) for video in frames]
            fields["video_pixels"] = torch.cat(pixels)
            fields["pictures"] = torch.tensor([len(pictures) for pictures in pixels])
            fields["frames"] = torch.tensor([len(video) for video in frames])
        return BatchFeature(fields)

    def _squares(self, image: Any, several: bool) -> Any:
        if not isinstance(image, PreparedImage):
            return prepare(image, self.plan, several=several)
        if image.recipe != self.recipe:
            raise VLLMValidationError("the picture was prepared for another model")
        return image.pixels


def _several(options: Mapping[str, Any]) -> bool:
    return bool((options.get(_IMAGE_OPTIONS) or {}).get("several", False))


class _OpaqueImages(MultiModalDataParser):
    """Drops alpha channels as the authors' code does; vLLM's parser lays them over white."""

    def _parse_image_data(self, data: Any) -> Any:
        if isinstance(data, Image.Image | MediaWithBytes):
            data = [data]
        if isinstance(data, list):
            data = [_opaque(item) for item in data]
        return super()._parse_image_data(data)


def _opaque(item: Any) -> Any:
    # vLLM takes an image out of its wrapper before it parses the request's items anew.
    if isinstance(item.media if isinstance(item, MediaWithBytes) else item, PreparedImage):
        return item
    if isinstance(item, MediaWithBytes) and isinstance(item.media, Image.Image):
        settings = {**(item.io_config or {}), "image_mode": "opaque RGB"}
        return MediaWithBytes(_opaque(item.media), item.original_bytes, settings)
    return normalize_image(item).convert("RGB") if isinstance(item, Image.Image) else item


class Information(BaseProcessingInfo):
    """What the model takes."""

    @cached_property
    def plan(self) -> Plan:
        """The checkpoint's plan."""
        config: ComposedConfig = self.ctx.get_hf_config(ComposedConfig)
        return config.read_plan()

    def most_frames(self) -> int:
        """How many frames of a video are taken at most: the user's number, or the family's."""
        video = self.ctx.get_mm_config().media_io_kwargs.get("video", {})
        plan = self.plan.video
        family = 0 if plan is None else plan.frames
        given = int(video.get("num_frames", family))
        return given if given > 0 else family

    @cached_property
    def _prepare(self) -> _Prepare:
        return _Prepare(self.plan)

    def get_hf_processor(self, **kwargs: object) -> Any:
        """A callable is all that vLLM needs."""
        return self._prepare

    def get_data_parser(self) -> MultiModalDataParser:
        """vLLM's, with alpha channels dropped."""
        return _OpaqueImages(
            expected_hidden_size=self._get_expected_hidden_size(),
            allow_missing_mm_embeddings=self.allow_missing_mm_embeddings,
        )

    def get_supported_mm_processor_kwargs(self) -> dict[str, set[str]]:
        """None: preprocessing is the family's."""
        return {}

    def get_supported_mm_limits(self) -> Mapping[str, int | None]:
        """Any number of what the family takes."""
        return dict.fromkeys(self.plan.modalities)

    def get_mm_max_tokens_per_item(
        self, seq_len: int, mm_counts: Mapping[str, int]
    ) -> Mapping[str, int]:
        """Known without processing a dummy image."""
        plan = self.plan
        layout = plan.layout()
        found = {"image": layout.tokens(*layout.largest())}
        if plan.video is not None:
            found["video"] = plan.frame_layout().tokens(self.most_frames())
        return {name: found[name] for name in plan.modalities}


class DummyInputs(BaseDummyInputsBuilder[Information]):
    """The largest inputs, for profiling."""

    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        """A mark for each image and each video."""
        return IMAGE_MARK * mm_counts.get("image", 0) + VIDEO_MARK * mm_counts.get("video", 0)

    def get_dummy_mm_data(
        self, seq_len: int, mm_counts: Mapping[str, int], mm_options: Mapping[str, Any]
    ) -> Any:
        """Images and videos that become the most tokens."""
        plan = self.info.plan
        width, height = plan.layout().largest()
        images = self._get_dummy_images(
            width=width,
            height=height,
            num_images=mm_counts.get("image", 0),
            overrides=mm_options.get("image"),
        )
        if plan.video is None:
            return {"image": images}
        size = plan.pixels_of(plan.part_of("video")).size
        videos = self._get_dummy_videos(
            width=size,
            height=size,
            num_frames=self.info.most_frames(),
            num_videos=mm_counts.get("video", 0),
            overrides=mm_options.get("video"),
        )
        return {"image": images, "video": videos}


class MediaInputs(PreparedInputs, BaseMultiModalProcessor[Information]):
    """Puts the placeholders of an image or a video where its mark stands."""

    @cached_property
    def recipe(self) -> str:  # type: ignore[override]
        """The plan."""
        plan: Plan = self.info.plan
        return plan.recipe()

    def prepared_fields(self, pictures: Sequence[PreparedImage]) -> Fields:
        """As `_Prepare` and `_get_mm_fields_config` have them of images that stand alone."""
        ends = list(accumulate(len(picture.pixels) for picture in pictures))
        slices = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
        each = MultiModalFieldConfig.batched("image")
        alone = torch.tensor(False)
        return {
            "pixel_values": (
                MultiModalFieldConfig.flat("image", slices),
                [torch.from_numpy(picture.pixels) for picture in pictures],
            ),
            "squares": (each, [torch.tensor(len(picture.pixels)) for picture in pictures]),
            "image_sizes": (each, [torch.tensor(picture.size) for picture in pictures]),
            "several": (each, [alone] * len(pictures)),
        }

    def apply(self, inputs: ProcessorInputs, timing_ctx: TimingContext) -> Any:
        """Process a request: its images know whether they are several, its videos tell times."""
        plan, items = self.info.plan, inputs.mm_data_items
        several = plan.image.several is not None and items.get_count("image", strict=False) > 1
        if several:
            options = {**inputs.hf_processor_mm_kwargs, _IMAGE_OPTIONS: {"several": True}}
            inputs = replace(inputs, hf_processor_mm_kwargs=options)
        if plan.video is not None and plan.video.times and "video" in items:
            tokenizer: Any = self.info.get_tokenizer()
            inputs = replace(inputs, prompt=spoken_times(inputs.prompt, items, tokenizer))
        return super().apply(inputs, timing_ctx)

    def _get_mm_fields_config(
        self, hf_inputs: BatchFeature, hf_processor_mm_kwargs: Mapping[str, object]
    ) -> Mapping[str, MultiModalFieldConfig]:
        # Empty when every image of the request was processed before.
        none = torch.empty(0, dtype=torch.long)
        squares, pictures = hf_inputs.get("squares", none), hf_inputs.get("pictures", none)
        return {
            "pixel_values": MultiModalFieldConfig.flat_from_sizes("image", squares),
            "squares": MultiModalFieldConfig.batched("image"),
            "image_sizes": MultiModalFieldConfig.batched("image"),
            "several": MultiModalFieldConfig.batched("image"),
            "video_pixels": MultiModalFieldConfig.flat_from_sizes("video", pictures),
            "pictures": MultiModalFieldConfig.batched("video"),
            "frames": MultiModalFieldConfig.batched("video"),
        }

    def _get_prompt_updates(
        self,
        mm_items: MultiModalDataItems,
        hf_processor_mm_kwargs: Mapping[str, object],
        out_mm_kwargs: Any,
    ) -> Sequence[PromptReplacement]:
        plan, tokenizer = self.info.plan, _untyped(self.info.get_tokenizer())
        layout = plan.layout(several=_several(hf_processor_mm_kwargs))
        # The mark's id may lie outside the embedding table, and the sampler's penalties, n-gram and
        # bad-word tables index by id: only ids of the vocabulary may reach the engine.
        filler = tokenizer.unk_token_id or 0

        def of_image(index: int) -> list[int] | PromptUpdateDetails:
            if plan.video is not None and isinstance(layout, ClassLastLayout):
                between = plan.video.between
                return _with_tokens_between(layout.parts, filler, between, tokenizer)
            size = mm_items.get_items("image", ImageProcessorItems).get_image_size(index)
            return [filler] * layout.tokens(size.width, size.height)

        def of_video(index: int) -> PromptUpdateDetails:
            frames = len(frames_of(mm_items["video"].get(index)))
            parts = plan.frame_layout().parts(frames)
            return _with_tokens_between(parts, filler, plan.video.between, tokenizer)

        updates = [PromptReplacement("image", [tokenizer.image_id], of_image)]
        if plan.video is not None:
            updates.append(PromptReplacement("video", [tokenizer.video_id], of_video))
        return updates


def _with_tokens_between(
    parts: Sequence[int], filler: int, between: str, tokenizer: Any
) -> PromptUpdateDetails:
    """Placeholders for runs of features, and the ids of the text between two runs."""
    text: list[int] = tokenizer(between, add_special_tokens=False)["input_ids"] if between else []
    full, features = [filler] * parts[0], [True] * parts[0]
    for count in parts[1:]:
        full += text + [filler] * count
        features += [False] * len(text) + [True] * count
    return PromptUpdateDetails(full, lambda _: torch.tensor(features))


def _untyped(value: Any) -> Any:
    return value
