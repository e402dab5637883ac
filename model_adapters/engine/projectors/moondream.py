"""moondream's projector: two linear layers.

Facts: vikhyat/moondream, moondream/vision_encoder.py (`VisionProjection`): as wide inside as four
times the language model; GELU is exact until March 2024, by tanh from then on.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from sensorium.model_adapters.projector_types import ProjectorType

__all__ = ["MoondreamProjector"]


class MoondreamProjector(nn.Module):
    """`kind.settings` has `gelu`: "none" or "tanh"."""

    def __init__(self, kind: ProjectorType, width: int, out: int) -> None:
        super().__init__()
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * out), "fc2": nn.Linear(4 * out, out)})
        self._gelu = str(kind.settings["gelu"])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Row by row."""
        inner = functional.gelu(self.mlp["fc1"](features), approximate=self._gelu)
        projected: torch.Tensor = self.mlp["fc2"](inner)
        return projected
