"""DeepSeek-VL2: padding, unfold and transposition of the 2x2 squares as one gather."""

from __future__ import annotations

import math
from typing import Any

import torch
from vllm.config import VllmConfig
from vllm.model_executor.models.deepseek_vl2 import DeepseekVLV2ForCausalLM, MlpProjector

from sensorium.kernels.fold import unfold_to_squares
from sensorium.kernels.fp8 import gather_for
from sensorium.kernels.plans import padded_squares
from sensorium.model_adapters.engine.native.base import MergedInput, rows_of

__all__ = ["DeepseekVL2", "GatheringProjector"]


class GatheringProjector(MlpProjector):
    """The same parameters, the first layer's columns in the order of gathered squares."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[tiles, tokens, hidden]` from `[tiles, rows, width]`; a square's missing rows are 0."""
        tiles, rows, _ = x.shape
        edge = math.isqrt(rows)
        index = padded_squares(tiles, edge, edge, self.cfg.downsample_ratio, x.device)
        tokens: torch.Tensor = self.layers(gather_for(self.layers[0], rows_of(x), index))
        return tokens.view(tiles, -1, tokens.shape[-1])

    def reorder(self) -> None:
        """Bring the first layer's columns from the order of `unfold`, as they are published."""
        weight = self.layers[0].weight
        weight.data.copy_(unfold_to_squares(weight.data, self.cfg.downsample_ratio))


class DeepseekVL2(MergedInput, DeepseekVLV2ForCausalLM):
    """DeepSeek-VL2 with the gathering projector."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        projector = self.projector
        if type(projector) is MlpProjector and projector.projector_type == "downsample_mlp_gelu":
            projector.__class__ = GatheringProjector

    def connectors(self) -> tuple[str, ...]:
        """vLLM names none for this model."""
        return ("projector",)

    def load_weights(self, weights: Any) -> set[str]:
        """Load, then put the first layer's columns into order."""
        loaded = super().load_weights(weights)
        if isinstance(self.projector, GatheringProjector):
            self.projector.reorder()
        return loaded
