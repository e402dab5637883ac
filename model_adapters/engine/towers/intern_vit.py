"""InternViT on vLLM's own module."""

from __future__ import annotations

from typing import Any

import torch
from vllm.model_executor.models.intern_vit import InternVisionModel

from sensorium.model_adapters.plan import TowerPlan

__all__ = ["InternVitTower"]


class InternVitTower(InternVisionModel):
    """Hidden states of the selected layer."""

    def __init__(self, plan: TowerPlan, config: Any, prefix: str) -> None:
        super().__init__(config, num_hidden_layers_override=plan.layers, prefix=prefix)
        self.width: int = config.hidden_size
        self._first = 0 if plan.keep_class_token else 1

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """`[squares, rows, width]`, without the class token unless the plan keeps it."""
        features: torch.Tensor = super().forward(pixels)
        return features[:, self._first :]
