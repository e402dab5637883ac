"""VILA's projector: four neighbouring features in one token, then a layer norm and two layers.

Facts: NVlabs/VILA at 637d49d, llava/model/multimodal_projector/base_projector.py.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from sensorium.model_adapters.projector_types import ProjectorType

__all__ = ["downsample"]


def downsample(kind: ProjectorType, width: int, out: int) -> nn.Module:
    """`[squares, patches, width]` to `[squares, patches / 4, out]`."""
    return nn.Sequential(
        _TwoByTwo(),
        nn.LayerNorm(4 * width),
        nn.Linear(4 * width, out),
        nn.GELU(),
        nn.Linear(out, out),
    )


class _TwoByTwo(nn.Module):
    """Blocks of 2x2 features, column by column; an odd grid gets a row and a column of zeros."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """`[squares, patches, width]` to `[squares, blocks, 4 * width]`."""
        squares, patches, width = tokens.shape
        edge = math.isqrt(patches)
        odd = edge % 2
        grid = functional.pad(tokens.view(squares, edge, edge, width), (0, 0, 0, odd, 0, odd))
        half = (edge + odd) // 2
        blocks = grid.view(squares, half, 2, half, 2, width)
        # Inside a block: the upper two, then the lower two.
        return blocks.permute(0, 3, 1, 2, 4, 5).reshape(squares, half * half, 4 * width)
