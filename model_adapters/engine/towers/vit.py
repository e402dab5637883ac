"""CLIP and SigLIP on vLLM's own modules."""

from __future__ import annotations

from typing import Any

import torch
from vllm.model_executor.models.clip import CLIPVisionModel
from vllm.model_executor.models.siglip import SiglipVisionModel

from sensorium.model_adapters.plan import TowerPlan

__all__ = ["ClipTower", "SiglipTower"]


class ClipTower(CLIPVisionModel):
    """Hidden states of the selected layer, before the last norm."""

    def __init__(self, plan: TowerPlan, config: Any, prefix: str) -> None:
        super().__init__(
            config,
            num_hidden_layers_override=plan.layers,
            require_post_norm=False,
            prefix=prefix,
        )
        self.width: int = config.hidden_size
        self._select = "full" if plan.keep_class_token else "default"

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """`[squares, rows, width]`, without the class token unless the plan keeps it."""
        features: torch.Tensor = super().forward(pixels, feature_select_strategy=self._select)
        return features


class SiglipTower(SiglipVisionModel):
    """Hidden states of the selected layer, before the last norm; there is no class token."""

    def __init__(self, plan: TowerPlan, config: Any, prefix: str) -> None:
        super().__init__(
            config,
            num_hidden_layers_override=plan.layers,
            require_post_norm=False,
            prefix=prefix,
        )
        self.width: int = config.hidden_size

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """`[squares, rows, width]`."""
        features: torch.Tensor = super().forward(pixels, feature_select_strategy="full")
        return features
