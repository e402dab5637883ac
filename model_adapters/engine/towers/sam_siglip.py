"""DeepSeek-VL 7B's pair of towers, on vLLM's SAM blocks.

Facts: deepseek-ai/DeepSeek-VL, deepseek_vl/models/clip_encoder.py (`HybridVisionTower`),
deepseek_vl/models/sam.py (`ImageEncoderViT.forward`).
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from vllm.model_executor.models.deepencoder import Block, LayerNorm2d, PatchEmbed

from sensorium.model_adapters.engine.towers.timm import TimmVisionTransformer
from sensorium.model_adapters.plan import TowerPlan
from sensorium.model_adapters.towers.vit import CLIP_MEAN, CLIP_STD

__all__ = ["SamSiglipTower"]

# SAM's features are resized to this grid before they are halved twice.
_GRID = 96
_LOW_MEAN = _LOW_STD = 0.5


class SamSiglipTower(nn.Module):
    """Features `[squares, rows, high | low]` of both towers, side by side."""

    def __init__(self, plan: TowerPlan, config: Any, prefix: str) -> None:
        super().__init__()
        low = SimpleNamespace(**config.low)
        self.vision_tower_high = nn.ModuleDict({"vision_tower": _Sam(config)})
        self.vision_tower_low = nn.ModuleDict({"vision_tower": TimmVisionTransformer(low)})
        self.width: int = config.downsamples[-1] + low.hidden_size
        self._low_size = low.image_size

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """`pixels` are normalised for SAM; SigLIP sees the same square, smaller."""
        high = self.vision_tower_high["vision_tower"](pixels).flatten(2).mT
        low = self.vision_tower_low["vision_tower"](self._smaller(pixels))
        return torch.cat([high, low], dim=-1)

    def _smaller(self, pixels: torch.Tensor) -> torch.Tensor:
        mean = pixels.new_tensor(CLIP_MEAN)[:, None, None]
        std = pixels.new_tensor(CLIP_STD)[:, None, None]
        size = (self._low_size, self._low_size)
        plain = functional.interpolate(pixels * std + mean, size, mode="bilinear", antialias=True)
        return (plain - _LOW_MEAN) / _LOW_STD


class _Sam(nn.Module):
    """SAM's image encoder, to which the features of its first global block are added."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        width, grid = config.hidden_size, config.image_size // config.patch_size
        patch = (config.patch_size, config.patch_size)
        self.patch_embed = PatchEmbed(kernel_size=patch, stride=patch, embed_dim=width)
        self.pos_embed = nn.Parameter(torch.empty(1, grid, grid, width))
        self.blocks = nn.ModuleList(
            Block(
                dim=width,
                num_heads=config.num_attention_heads,
                norm_layer=partial(nn.LayerNorm, eps=1e-6),
                use_rel_pos=True,
                window_size=0 if index in config.global_blocks else config.window_size,
                input_size=(grid, grid),
            )
            for index in range(config.num_hidden_layers)
        )
        self.neck = _neck(width, config.neck)
        self.neck_hd = _neck(width, config.neck)
        channels = [config.neck, *config.downsamples]
        self.downsamples = nn.Sequential(
            *(
                nn.Conv2d(inner, outer, 3, stride=2, padding=1, bias=False)
                for inner, outer in pairwise(channels)
            )
        )
        self.hd_alpha_downsamples = nn.Parameter(torch.empty(1))
        self._first_global = min(config.global_blocks)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """`[squares, channels, rows, columns]`."""
        x = self.patch_embed(pixels) + self.pos_embed
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index == self._first_global:
                detail = self._halved(self.neck_hd(x.permute(0, 3, 1, 2)))
        features = self._halved(self.neck(x.permute(0, 3, 1, 2)))
        return features + detail * self.hd_alpha_downsamples

    def _halved(self, x: torch.Tensor) -> torch.Tensor:
        resized = functional.interpolate(x.float(), (_GRID, _GRID), mode="bilinear").to(x.dtype)
        halved: torch.Tensor = self.downsamples(resized)
        return halved


def _neck(width: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, channels, 1, bias=False),
        LayerNorm2d(channels),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        LayerNorm2d(channels),
    )
