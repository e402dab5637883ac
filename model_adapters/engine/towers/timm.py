"""timm's vision transformer in plain torch, under timm's names.

Facts: huggingface/pytorch-image-models, timm/models/vision_transformer.py, and the copies in
deepseek-ai/DeepSeek-VL (deepseek_vl/models/siglip_vit.py) and vikhyat/moondream
(moondream/vision_encoder.py): no class token, every layer runs, the last norm is applied.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from sensorium.model_adapters.plan import TowerPlan

__all__ = ["TimmTower", "TimmVisionTransformer"]

_ACTIVATIONS = {
    "gelu": nn.GELU,
    "gelu_tanh": partial(nn.GELU, approximate="tanh"),
}


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(*qkv.unbind(0))
        mixed: torch.Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return mixed


class _Mlp(nn.Module):
    def __init__(self, width: int, inner: int, activation: str) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.act = _ACTIVATIONS[activation]()
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.fc2(self.act(self.fc1(x)))
        return out


class _Block(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.norm1 = nn.LayerNorm(width, eps)
        self.attn = _Attention(width, config.num_attention_heads)
        self.norm2 = nn.LayerNorm(width, eps)
        self.mlp = _Mlp(width, config.intermediate_size, config.hidden_act)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        out: torch.Tensor = x + self.mlp(self.norm2(x))
        return out


class _Patches(nn.Module):
    """Patches `[squares, patches, width]`: a convolution, or a linear layer over their pixels."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.size = config.patch_size
        if config.linear_patches:
            self.linear = nn.Linear(3 * self.size**2, config.hidden_size)
        else:
            self.proj = nn.Conv2d(3, config.hidden_size, self.size, self.size)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        if hasattr(self, "proj"):
            found: torch.Tensor = self.proj(pixels).flatten(2).transpose(1, 2)
            return found
        patches: torch.Tensor = self.linear(
            functional.unfold(pixels, self.size, stride=self.size).mT
        )
        return patches


class TimmVisionTransformer(nn.Module):
    """`config` names sizes as transformers' SigLIP does, `hidden_act` is `gelu` or `gelu_tanh`."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        grid = config.image_size // config.patch_size
        self.patch_embed = _Patches(config)
        self.pos_embed = nn.Parameter(torch.empty(1, grid**2, config.hidden_size))
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Normed features `[squares, patches, width]`."""
        x = self.patch_embed(pixels) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        features: torch.Tensor = self.norm(x)
        return features


class TimmTower(TimmVisionTransformer):
    """The transformer as a tower."""

    def __init__(self, plan: TowerPlan, config: Any, prefix: str) -> None:
        super().__init__(config)
        self.width: int = config.hidden_size
