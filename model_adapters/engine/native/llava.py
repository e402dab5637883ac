"""LLaVA-1.5 and LLaVA-1.6 of Hugging Face: rows are picked before they are projected.

vLLM 0.32 (`models/llava.py`, `models/llava_next.py`) projects a view without the CLS rows, which
costs it the fused bias, and projects tiles whose padding it throws away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from vllm.model_executor.models.clip import CLIPVisionModel
from vllm.model_executor.models.llava import (
    LlavaDummyInputsBuilder,
    LlavaForConditionalGeneration,
    LlavaMultiModalProcessor,
    LlavaProcessingInfo,
    _build_llava_or_pixtral_hf_info,
    _build_llava_or_pixtral_hf_processor,
)
from vllm.model_executor.models.llava_next import (
    LlavaNextForConditionalGeneration,
    LlavaNextMultiModalProcessor,
    LlavaNextProcessingInfo,
    get_anyres_image_grid_shape,
    unpad_image,
)
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.inputs import MultiModalFieldConfig

from sensorium.kernels.fp8 import gather_for, rows_for
from sensorium.kernels.pack_project import (
    Tiled,
    pack_project,
    plan_packing,
    tiled_rows,
)
from sensorium.kernels.plans import all_rows
from sensorium.model_adapters.engine.native.base import MergedInput, rows_of
from sensorium.model_adapters.engine.native.squares import NormalisesSquares, SquareInputs
from sensorium.model_adapters.engine.prepared import PreparedImage
from sensorium.model_adapters.engine.prepared_inputs import Fields

__all__ = ["Llava", "LlavaNext"]


def _skipped(model: Any) -> int:
    """CLS rows that lie before each picture's features and are no tokens."""
    drops = model.config.vision_feature_select_strategy == "default"
    return int(drops and isinstance(model.vision_tower, CLIPVisionModel))


class _LlavaInputs(SquareInputs, LlavaMultiModalProcessor):
    """A square each."""


class _LlavaNextInputs(SquareInputs, LlavaNextMultiModalProcessor[LlavaNextProcessingInfo]):
    """The whole and its tiles, and how large the picture was."""

    tiled = True

    def prepared_fields(self, pictures: Sequence[PreparedImage]) -> Fields:
        sizes = [torch.tensor((picture.height, picture.width)) for picture in pictures]
        kept = MultiModalFieldConfig.batched("image", keep_on_cpu=True)
        return {**super().prepared_fields(pictures), "image_sizes": (kept, sizes)}


def _llava_inputs(info: Any, dummy_inputs: Any) -> Any:
    if isinstance(info, LlavaProcessingInfo):
        return _LlavaInputs(info, dummy_inputs)
    return _build_llava_or_pixtral_hf_processor(info, dummy_inputs)


@MULTIMODAL_REGISTRY.register_processor(
    _llava_inputs, info=_build_llava_or_pixtral_hf_info, dummy_inputs=LlavaDummyInputsBuilder
)
class Llava(NormalisesSquares, MergedInput, LlavaForConditionalGeneration):
    """LLaVA-1.5 and its like."""

    def _process_image_input(self, image_input: Any) -> Any:
        if image_input["type"] != "pixel_values" or not _skipped(self):
            return super()._process_image_input(image_input)
        features = self.vision_tower(image_input["pixel_values"], feature_select_strategy="full")
        images, rows, _ = features.shape
        kept = gather_for(
            self.multi_modal_projector.linear_1,
            rows_of(features),
            all_rows(images, rows, 1, features.device),
        )
        projected: torch.Tensor = self.multi_modal_projector(kept)
        return projected.view(images, rows - 1, -1)


@MULTIMODAL_REGISTRY.register_processor(
    _LlavaNextInputs, info=LlavaNextProcessingInfo, dummy_inputs=LlavaDummyInputsBuilder
)
class LlavaNext(NormalisesSquares, MergedInput, LlavaNextForConditionalGeneration):
    """LLaVA-1.6."""

    def _process_image_input(self, image_input: Any) -> Any:
        sizes = image_input.get("image_sizes")
        if image_input["type"] != "pixel_values" or sizes is None:
            return super()._process_image_input(image_input)
        pixels = list(image_input["pixel_values"])
        skip = _skipped(self)
        features = self.vision_tower(
            torch.cat(pixels),
            select_layers=self.select_layers,
            feature_select_strategy="full" if skip else self.config.vision_feature_select_strategy,
        )
        grid = self.config.vision_config.image_size // self.config.vision_config.patch_size
        images = []
        for squares, size in zip(pixels, sizes, strict=True):
            rows, _ = tiled_rows(self._tiled(size.tolist(), len(squares), grid), grid, skip=skip)
            images.append((rows, len(squares) * features.shape[1]))  # some squares only pad a batch
        plan = plan_packing(images, features.device)
        projector = self.multi_modal_projector
        return pack_project(
            rows_of(features),
            plan,
            projector,
            self.image_newline,
            gather=rows_for(projector.linear_1),
        )

    def _tiled(self, size: list[int], squares: int, grid: int) -> Tiled:
        """The image's tiles, and the crop that transformers would make, tried on row numbers."""
        if squares == 1:
            return Tiled(0, 0)
        config = self.config
        down, across = get_anyres_image_grid_shape(
            (size[0], size[1]), config.image_grid_pinpoints, config.vision_config.image_size
        )
        columns = across * grid
        numbers = torch.arange(down * grid * columns).view(1, down * grid, columns)
        kept = unpad_image(numbers, (size[0], size[1]))[0]
        top, left = divmod(int(kept[0, 0]), columns)
        return Tiled(down, across, top, top + kept.shape[0], left, left + kept.shape[1])
