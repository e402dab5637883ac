"""Idefics3 and SmolVLM: the pixel shuffle as one gather instead of two copies."""

from __future__ import annotations

import math

import torch
from vllm.config import VllmConfig
from vllm.model_executor.models.idefics3 import (
    Idefics3Connector,
    Idefics3ForConditionalGeneration,
)
from vllm.model_executor.models.smolvlm import SmolVLMForConditionalGeneration

from sensorium.kernels.fp8 import gather_for
from sensorium.kernels.plans import squares
from sensorium.model_adapters.engine.native.base import MergedInput, rows_of

__all__ = ["GatheringConnector", "Idefics3", "SmolVLM"]


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


class Idefics3(MergedInput, Idefics3ForConditionalGeneration):
    """Idefics3 with the gathering connector."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        self.model.connector.__class__ = GatheringConnector


class SmolVLM(MergedInput, SmolVLMForConditionalGeneration):
    """SmolVLM with the gathering connector."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        self.model.connector.__class__ = GatheringConnector
