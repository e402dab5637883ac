"""Qwen-VL's resampler: learned queries read a tower's features once.

Facts: Qwen/Qwen-VL, visual.py (`Resampler`, and `ln_post` and `proj` of `VisionTransformer`).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from sensorium.model_adapters.engine.towers.qwen_vl import resized_positions
from sensorium.model_adapters.projector_types import ProjectorType

__all__ = ["Resampler"]

_EPS = 1e-6
_HEAD = 128


class _Attention(nn.Module):
    """Parameters of `torch.nn.MultiheadAttention`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // _HEAD
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (
            functional.linear(x, weight, bias).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for x, weight, bias in zip((q, k, v), weights, biases, strict=True)
        )
        attended = functional.scaled_dot_product_attention(q, k, v)
        out: torch.Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return out


class _Pool(nn.Module):
    def __init__(self, queries: int, width: int, out: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.empty(queries, out))
        self.pos_embed = nn.Parameter(torch.empty(queries, out))
        self.kv_proj = nn.Linear(width, out, bias=False)
        self.attn = _Attention(out)
        self.ln_q = nn.LayerNorm(out, _EPS)
        self.ln_kv = nn.LayerNorm(out, _EPS)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        read = self.ln_kv(self.kv_proj(features))
        queries = (self.ln_q(self.query) + self.pos_embed).expand(len(features), -1, -1)
        places = resized_positions(self.pos_embed, features.shape[1])
        pooled: torch.Tensor = self.attn(queries, read + places, read)
        return pooled


class Resampler(nn.Module):
    """Features `[squares, rows, width]` to `[squares, queries, out]`."""

    def __init__(self, kind: ProjectorType, width: int, out: int) -> None:
        super().__init__()
        self.attn_pool = _Pool(kind.settings["n_queries"], width, out)
        self.ln_post = nn.LayerNorm(out, _EPS)
        self.proj = nn.Parameter(torch.empty(out, out))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """One row for each query."""
        projected: torch.Tensor = self.ln_post(self.attn_pool(features)) @ self.proj
        return projected
