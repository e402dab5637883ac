"""InternVL: CLS drop, pixel shuffle and layer norm in one pass instead of four."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from vllm.model_executor.models.internvl import (
    InternVLChatModel,
    InternVLDummyInputsBuilder,
    InternVLMultiModalProcessor,
    InternVLProcessingInfo,
)
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.inputs import MultiModalFieldConfig
from vllm.transformers_utils.processors.internvl import IMAGENET_MEAN, IMAGENET_STD

from sensorium.kernels.fp8 import gather_for
from sensorium.kernels.plans import squares
from sensorium.model_adapters.engine.native.base import MergedInput, rows_of
from sensorium.model_adapters.engine.native.squares import NormalisesSquares, SquareInputs
from sensorium.model_adapters.engine.prepared import PreparedImage
from sensorium.model_adapters.engine.prepared_inputs import Fields
from sensorium.model_adapters.grid_rule import GridRule

__all__ = ["InternVL"]


class _InternVLInputs(SquareInputs, InternVLMultiModalProcessor):
    """The squares of a grid and the whole, by vLLM's own processor."""

    pixels = "pixel_values_flat"
    counted = "image_num_patches"

    def read_rule(self) -> GridRule:
        """As vLLM's processor has it."""
        made = self.info.get_image_processor()
        least, most = made.resolve_min_max_num(use_thumbnail=False)
        return GridRule(made.image_size, least, most, made.use_thumbnail)

    @cached_property
    def normal(self) -> torch.Tensor:
        """In the steps of torchvision's `ToTensor` and `Normalize`."""
        steps = torch.tensor([(255.0,) * 3, IMAGENET_MEAN, IMAGENET_STD])
        return steps[:, :, None, None]

    def prepared_fields(self, pictures: Sequence[PreparedImage]) -> Fields:
        """With the token that stands for a row of features."""
        token = torch.tensor(self.info.get_hf_processor().ctx_image_token_id)
        shared = MultiModalFieldConfig.shared("image", len(pictures), keep_on_cpu=True)
        fields = super().prepared_fields(pictures)
        return {**fields, "image_token_id": (shared, [token] * len(pictures))}


@MULTIMODAL_REGISTRY.register_processor(
    _InternVLInputs, info=InternVLProcessingInfo, dummy_inputs=InternVLDummyInputsBuilder
)
class InternVL(NormalisesSquares, MergedInput, InternVLChatModel):
    """InternVL with `mlp1`."""

    def extract_feature(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """`[tiles, tokens, hidden]`."""
        edge = round(1 / self.downsample_ratio)
        if self.ps_version == "v1":  # whose tokens are transposed
            theirs: torch.Tensor = super().extract_feature(pixel_values)
            return theirs
        features = self.vision_model(pixel_values=pixel_values)
        tiles, rows, _ = features.shape
        grid = math.isqrt(rows - 1)
        norm, *layers = self.mlp1
        tokens: Any = gather_for(
            layers[0],
            rows_of(features),
            squares(tiles, grid, grid, edge, 1, features.device),
            norm.weight,
            norm.bias,
            norm="layer",
            eps=norm.eps,
        )
        for layer in layers:
            tokens = layer(tokens)
        out: torch.Tensor = tokens.view(tiles, -1, tokens.shape[-1])
        return out
