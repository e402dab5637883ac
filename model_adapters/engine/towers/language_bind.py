"""LanguageBind's video tower: CLIP on vLLM's modules, each layer looking over time first.

Facts: PKU-YuanGroup/Video-LLaVA, videollava/model/multimodal_encoder/languagebind/video/
modeling_video.py (`CLIPEncoderLayer`): patch by patch, each frame attends to the others; only a
clip of several frames has positions in time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from vllm.model_executor.layers.attention import MMEncoderAttention
from vllm.model_executor.models.clip import CLIPAttention, CLIPEncoderLayer

from sensorium.model_adapters.engine.towers.vit import ClipTower
from sensorium.model_adapters.plan import TowerPlan

__all__ = ["LanguageBindVideoTower"]


class LanguageBindVideoTower(ClipTower):
    """Called with the frames of clips in a row, each clip of `config.num_frames`."""

    def __init__(self, plan: TowerPlan, config: Any, prefix: str) -> None:
        super().__init__(plan, config, prefix)
        if config.add_time_attn:
            layers = self.vision_model.encoder.layers
            for index in range(len(layers)):
                layers[index] = _LayerOverTime(config, f"{prefix}.encoder.layers.{index}")


class _LayerOverTime(CLIPEncoderLayer):
    def __init__(self, config: Any, prefix: str) -> None:
        super().__init__(config, prefix=prefix, attn_cls=MMEncoderAttention)
        width = config.hidden_size
        self.frames = config.num_frames
        self.temporal_embedding = nn.Parameter(torch.empty(1, self.frames, width))
        self.temporal_layer_norm1 = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.temporal_attn = CLIPAttention(
            config, prefix=f"{prefix}.temporal_attn", attn_cls=MMEncoderAttention
        )

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """`[clips * frames, rows, width]`, and the same."""
        # [clips, rows, frames, width]
        clips = hidden_states.unflatten(0, (-1, self.frames)).transpose(1, 2)
        if self.frames > 1:
            clips = clips + self.temporal_embedding
        normed = self.temporal_layer_norm1(clips).flatten(0, 1)
        attended, _ = self.temporal_attn(normed)
        clips = clips + attended.view(clips.shape)
        seen: torch.Tensor = super().forward(clips.transpose(1, 2).flatten(0, 1))
        return seen
