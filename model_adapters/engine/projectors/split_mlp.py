"""DeepSeek-VL 7B's projector: each tower's features have a first layer of their own.

Facts: deepseek-ai/DeepSeek-VL, deepseek_vl/models/projector.py (`low_high_hybrid_split_mlp_gelu`).
"""

from __future__ import annotations

import torch
from torch import nn

from sensorium.model_adapters.projector_types import ProjectorType

__all__ = ["SplitProjector"]


class SplitProjector(nn.Module):
    """Takes features `[squares, rows, high | low]`, both halves as wide, to `[squares, rows, out]`.

    `kind.depth` counts the linear layers one above the other, the pair as one.
    """

    def __init__(self, kind: ProjectorType, width: int, out: int) -> None:
        super().__init__()
        self.high_up_proj = nn.Linear(width // 2, out // 2)
        self.low_up_proj = nn.Linear(width // 2, out // 2)
        layers: list[nn.Module] = []
        for _ in range(1, kind.depth):
            layers += [nn.GELU(), nn.Linear(out, out)]
        self.layers = nn.Sequential(*layers)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Half of the first layer's output comes from each tower."""
        high, low = features.chunk(2, dim=-1)
        both = torch.cat([self.high_up_proj(high), self.low_up_proj(low)], dim=-1)
        projected: torch.Tensor = self.layers(both)
        return projected
