"""Qwen-VL's vision transformer in plain torch, under OpenCLIP's names.

Facts: Qwen/Qwen-VL, visual.py: 256 positions, resized to the picture's patches; queries, keys and
values side by side within each head; no norm after the last block.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from sensorium.model_adapters.plan import TowerPlan

__all__ = ["QwenVlTower", "resized_positions"]

_POSITIONS = 256
_EPS = 1e-6


def resized_positions(table: torch.Tensor, rows: int) -> torch.Tensor:
    """A square table `[positions, width]` for another square, `[rows, width]`."""
    if len(table) == rows:
        return table
    old, new = math.isqrt(len(table)), math.isqrt(rows)
    grid = table.float().reshape(1, old, old, -1).permute(0, 3, 1, 2)
    resized = functional.interpolate(grid, (new, new), mode="bicubic")
    return resized.flatten(2)[0].T.to(table.dtype)


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed = self.in_proj(x).unflatten(-1, (self.heads, 3, -1)).permute(3, 0, 2, 1, 4)
        attended = functional.scaled_dot_product_attention(*mixed.unbind(0))
        out: torch.Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return out


class _Block(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.ln_1 = nn.LayerNorm(width, _EPS)
        self.attn = _Attention(width, config.num_attention_heads)
        self.ln_2 = nn.LayerNorm(width, _EPS)
        self.mlp = nn.Sequential(
            OrderedDict(
                c_fc=nn.Linear(width, inner), gelu=nn.GELU(), c_proj=nn.Linear(inner, width)
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.ln_1(x))
        out: torch.Tensor = x + self.mlp(self.ln_2(x))
        return out


class _Blocks(nn.Module):
    def __init__(self, config: Any, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(_Block(config) for _ in range(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.resblocks:
            x = block(x)
        return x


class QwenVlTower(nn.Module):
    """Features of every patch."""

    def __init__(self, plan: TowerPlan, config: Any, prefix: str) -> None:
        super().__init__()
        width, patch = config.hidden_size, config.patch_size
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.positional_embedding = nn.Parameter(torch.empty(_POSITIONS, width))
        self.ln_pre = nn.LayerNorm(width, _EPS)
        self.transformer = _Blocks(config, plan.layers)
        self.width: int = width

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """`[squares, patches, width]`."""
        patches = self.conv1(pixels).flatten(2).mT
        places = resized_positions(self.positional_embedding, patches.shape[1])
        features: torch.Tensor = self.transformer(self.ln_pre(patches + places))
        return features
