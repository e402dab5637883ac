"""InternVL: CLS drop, pixel shuffle and layer norm in one pass instead of four."""

from __future__ import annotations

import math
from typing import Any

import torch
from vllm.model_executor.models.internvl import InternVLChatModel

from sensorium.kernels.fp8 import gather_for
from sensorium.kernels.plans import squares
from sensorium.model_adapters.engine.native.base import MergedInput, rows_of

__all__ = ["InternVL"]


class InternVL(MergedInput, InternVLChatModel):
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
