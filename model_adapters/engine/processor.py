"""vLLM's view of a composed model's inputs: images to pixels, image marks to placeholders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from transformers import BatchFeature
from vllm.exceptions import VLLMValidationError
from vllm.multimodal.image import normalize_image
from vllm.multimodal.inputs import MultiModalFieldConfig
from vllm.multimodal.media.base import MediaWithBytes
from vllm.multimodal.parse import ImageProcessorItems, MultiModalDataParser
from vllm.multimodal.processing import (
    BaseDummyInputsBuilder,
    BaseMultiModalProcessor,
    BaseProcessingInfo,
    PromptReplacement,
)

from sensorium.model_adapters.engine.config import ComposedConfig
from sensorium.model_adapters.engine.prepared import PreparedImage
from sensorium.model_adapters.engine.tokenizer import IMAGE_MARK
from sensorium.model_adapters.images import prepare
from sensorium.model_adapters.plan import Plan

__all__ = ["DummyInputs", "ImageInputs", "Information"]


class _Prepare:
    """Images to pixels, in the shape of a transformers processor."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __call__(self, images: Sequence[Any] = (), **kwargs: Any) -> BatchFeature:
        """Squares of all images in a row, how many each image has, and the images' sizes."""
        pixels = [torch.tensor(self._squares(image)) for image in images]
        return BatchFeature(
            {
                "pixel_values": pixels[0] if len(pixels) == 1 else torch.cat(pixels),
                "squares": torch.tensor([len(squares) for squares in pixels]),
                "image_sizes": torch.tensor([image.size for image in images]),
            }
        )

    def _squares(self, image: Any) -> Any:
        if not isinstance(image, PreparedImage):
            return prepare(image, self.plan)
        if image.recipe != self.plan.recipe():
            raise VLLMValidationError("the picture was prepared for another model")
        return image.pixels


class _OpaqueImages(MultiModalDataParser):
    """Drops alpha channels as the authors' code does; vLLM's parser lays them over white."""

    def _parse_image_data(self, data: Any) -> Any:
        if isinstance(data, Image.Image | MediaWithBytes):
            data = [data]
        if isinstance(data, list):
            data = [_opaque(item) for item in data]
        return super()._parse_image_data(data)


def _opaque(item: Any) -> Any:
    if isinstance(item, MediaWithBytes) and isinstance(item.media, PreparedImage):
        return item
    if isinstance(item, MediaWithBytes) and isinstance(item.media, Image.Image):
        settings = {**(item.io_config or {}), "image_mode": "opaque RGB"}
        return MediaWithBytes(_opaque(item.media), item.original_bytes, settings)
    return normalize_image(item).convert("RGB") if isinstance(item, Image.Image) else item


class Information(BaseProcessingInfo):
    """What the model takes."""

    def plan(self) -> Plan:
        """The checkpoint's plan."""
        config: ComposedConfig = self.ctx.get_hf_config(ComposedConfig)
        return config.read_plan()

    def get_hf_processor(self, **kwargs: object) -> Any:
        """A callable is all that vLLM needs."""
        return _Prepare(self.plan())

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
        """Any number of images."""
        return {"image": None}

    def get_mm_max_tokens_per_item(
        self, seq_len: int, mm_counts: Mapping[str, int]
    ) -> Mapping[str, int]:
        """Known without processing a dummy image."""
        layout = self.plan().layout()
        return {"image": layout.tokens(*layout.largest())}


class DummyInputs(BaseDummyInputsBuilder[Information]):
    """The largest inputs, for profiling."""

    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        """A mark for each image."""
        return IMAGE_MARK * mm_counts.get("image", 0)

    def get_dummy_mm_data(
        self, seq_len: int, mm_counts: Mapping[str, int], mm_options: Mapping[str, Any]
    ) -> Any:
        """Images that become the most tokens."""
        width, height = self.info.plan().layout().largest()
        images = self._get_dummy_images(
            width=width,
            height=height,
            num_images=mm_counts.get("image", 0),
            overrides=mm_options.get("image"),
        )
        return {"image": images}


class ImageInputs(BaseMultiModalProcessor[Information]):
    """Puts an image's placeholders where its mark stands."""

    def _get_mm_fields_config(
        self, hf_inputs: BatchFeature, hf_processor_mm_kwargs: Mapping[str, object]
    ) -> Mapping[str, MultiModalFieldConfig]:
        # Empty when every image of the request was processed before.
        squares = hf_inputs.get("squares", torch.empty(0, dtype=torch.long))
        return {
            "pixel_values": MultiModalFieldConfig.flat_from_sizes("image", squares),
            "squares": MultiModalFieldConfig.batched("image"),
            "image_sizes": MultiModalFieldConfig.batched("image"),
        }

    def _get_prompt_updates(
        self,
        mm_items: Any,
        hf_processor_mm_kwargs: Mapping[str, object],
        out_mm_kwargs: Any,
    ) -> Sequence[PromptReplacement]:
        layout = self.info.plan().layout()
        tokenizer: Any = self.info.get_tokenizer()
        # The mark's id may lie outside the embedding table, and the sampler's penalties, n-gram and
        # bad-word tables index by id: only ids of the vocabulary may reach the engine.
        filler = tokenizer.unk_token_id or 0

        def placeholders(index: int) -> list[int]:
            size = mm_items.get_items("image", ImageProcessorItems).get_image_size(index)
            return [filler] * layout.tokens(size.width, size.height)

        mark = [tokenizer.image_id]
        return [PromptReplacement(modality="image", target=mark, replacement=placeholders)]
