"""ConvNeXt on transformers' own modules."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers.models.convnext.modeling_convnext import ConvNextEmbeddings, ConvNextEncoder

from sensorium.model_adapters.plan import TowerPlan

__all__ = ["ConvNextTower"]


class ConvNextTower(nn.Module):
    """The output of the last stage, row by row."""

    def __init__(self, plan: TowerPlan, config: Any, prefix: str) -> None:
        super().__init__()
        self.width: int = config.hidden_sizes[-1]
        self.embeddings = ConvNextEmbeddings(config)
        self.encoder = ConvNextEncoder(config)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """`[squares, rows, width]`."""
        maps: torch.Tensor = self.encoder(self.embeddings(pixels)).last_hidden_state
        return maps.flatten(2).transpose(1, 2)
