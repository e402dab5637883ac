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

from sensorium.kernels.gather_norm import gather_norm
from sensorium.kernels.plans import squares
from sensorium.model_adapters.engine.native.base import MergedInput, rows_of

__all__ = ["GatheringConnector", "Idefics3", "SmolVLM"]


class GatheringConnector(Idefics3Connector):
    """The same parameters; squares are gathered row by row."""

    def pixel_shuffle(self, x: torch.Tensor, scale_factor: int = 2) -> torch.Tensor:
        """`[images, rows / factor**2, width * factor**2]`."""
        images, rows, _ = x.shape
        edge = math.isqrt(rows)
        tokens = gather_norm(rows_of(x), squares(images, edge, edge, scale_factor, 0, x.device))
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
