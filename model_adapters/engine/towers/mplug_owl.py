"""mPLUG-Owl's CLIP-like tower in plain torch, under its own names.

Facts: X-PLUG/mPLUG-Owl, mPLUG-Owl2/mplug_owl2/model/visual_encoder.py: queries, keys and values
stand side by side within each head; every row is kept, and normed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers.activations import ACT2FN

from sensorium.model_adapters.plan import TowerPlan

__all__ = ["MplugOwlTower"]


class _Embeddings(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        width, patch = config.hidden_size, config.patch_size
        rows = (config.image_size // patch) ** 2 + 1
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.patch_embed = nn.Conv2d(3, width, patch, patch, bias=False)
        self.position_embedding = nn.Parameter(torch.empty(1, rows, width))
        self.pre_layernorm = nn.LayerNorm(width, config.layer_norm_eps)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        patches = self.patch_embed(pixels).flatten(2).mT
        first = self.cls_token.expand(len(patches), -1, -1)
        embedded: torch.Tensor = self.pre_layernorm(
            torch.cat([first, patches], dim=1) + self.position_embedding
        )
        return embedded


class _Attention(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed = self.query_key_value(x).unflatten(-1, (self.heads, 3, -1))
        attended = functional.scaled_dot_product_attention(*mixed.permute(3, 0, 2, 1, 4).unbind(0))
        out: torch.Tensor = self.dense(attended.transpose(1, 2).flatten(2))
        return out


class _Mlp(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.activation_fn = ACT2FN[config.hidden_act]
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.fc2(self.activation_fn(self.fc1(x)))
        return out


class _Layer(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.self_attn = _Attention(config)
        self.input_layernorm = nn.LayerNorm(width, eps)
        self.mlp = _Mlp(config)
        self.post_attention_layernorm = nn.LayerNorm(width, eps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.self_attn(self.input_layernorm(x))
        out: torch.Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class _Encoder(nn.Module):
    def __init__(self, config: Any, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(config) for _ in range(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class MplugOwlTower(nn.Module):
    """Normed features of every patch, after the class token's."""

    def __init__(self, plan: TowerPlan, config: Any, prefix: str) -> None:
        super().__init__()
        self.embeddings = _Embeddings(config)
        self.encoder = _Encoder(config, plan.layers)
        self.post_layernorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.width: int = config.hidden_size

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """`[squares, 1 + patches, width]`."""
        features: torch.Tensor = self.post_layernorm(self.encoder(self.embeddings(pixels)))
        return features
