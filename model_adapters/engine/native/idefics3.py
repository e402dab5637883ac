"""Idefics3 and SmolVLM: the pixel shuffle as one gather instead of two copies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from vllm.config import VllmConfig
from vllm.model_executor.models.idefics3 import (
    Idefics3Connector,
    Idefics3DummyInputsBuilder,
    Idefics3ForConditionalGeneration,
    Idefics3MultiModalProcessor,
    Idefics3ProcessingInfo,
)
from vllm.model_executor.models.smolvlm import (
    SmolVLMDummyInputsBuilder,
    SmolVLMForConditionalGeneration,
    SmolVLMMultiModalProcessor,
    SmolVLMProcessingInfo,
)
from vllm.multimodal import MULTIMODAL_REGISTRY

from sensorium.kernels.fp8 import gather_for
from sensorium.kernels.plans import squares
from sensorium.model_adapters.engine.native.base import MergedInput, rows_of
from sensorium.model_adapters.engine.native.squares import NormalisesSquares, SquareInputs

__all__ = ["GatheringConnector", "Idefics3", "SmolVLM", "with_mask"]


class GatheringConnector(Idefics3Connector):
    """The same parameters; squares are gathered row by row."""

    def forward(self, image_hidden_states: torch.Tensor) -> torch.Tensor:
        """`[images, rows / factor**2, hidden]` from `[images, rows, width]`."""
        images, rows, _ = image_hidden_states.shape
        edge = math.isqrt(rows)
        tokens: torch.Tensor = self.modality_projection(
            gather_for(
                self.modality_projection.proj,
                rows_of(image_hidden_states),
                squares(images, edge, edge, self.scale_factor, 0, image_hidden_states.device),
            )
        )
        return tokens.view(images, -1, tokens.shape[-1])


class _Idefics3Inputs(SquareInputs, Idefics3MultiModalProcessor):
    """The tiles and the whole."""

    counted = "num_patches"


class _SmolVLMInputs(SquareInputs, SmolVLMMultiModalProcessor):
    """The tiles and the whole."""

    counted = "num_patches"


class _FillsMask(NormalisesSquares):
    """The mask of squares is not sent: it takes eight times their bytes, and all of it is 1."""

    def tower_inputs(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        return with_mask(super().tower_inputs(inputs))


def with_mask(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """A model's inputs with `pixel_attention_mask` `[squares, edge, edge]`, where it is missing."""
    pixels = inputs.get("pixel_values")
    if pixels is None or "pixel_attention_mask" in inputs:
        return inputs
    one = torch.ones((), dtype=torch.int64, device=pixels.device)
    mask = one.expand(len(pixels), *pixels.shape[-2:])
    return {**inputs, "pixel_attention_mask": mask}


@MULTIMODAL_REGISTRY.register_processor(
    _Idefics3Inputs, info=Idefics3ProcessingInfo, dummy_inputs=Idefics3DummyInputsBuilder
)
class Idefics3(_FillsMask, MergedInput, Idefics3ForConditionalGeneration):
    """Idefics3 with the gathering connector."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        self.model.connector.__class__ = GatheringConnector


@MULTIMODAL_REGISTRY.register_processor(
    _SmolVLMInputs, info=SmolVLMProcessingInfo, dummy_inputs=SmolVLMDummyInputsBuilder
)
class SmolVLM(_FillsMask, MergedInput, SmolVLMForConditionalGeneration):
    """SmolVLM with the gathering connector."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        self.model.connector.__class__ = GatheringConnector
