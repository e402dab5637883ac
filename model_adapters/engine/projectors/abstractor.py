"""mPLUG-Owl's visual abstractor: learned queries that read a tower's features layer by layer.

Facts: X-PLUG/mPLUG-Owl, mPLUG-Owl2/mplug_owl2/model/visual_encoder.py. Queries attend to themselves
and to the features at once, the residual branches off after the norm, and a learned vector ends
each picture.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from sensorium.model_adapters.projector_types import ProjectorType

__all__ = ["VisualAbstractor"]


class VisualAbstractor(nn.Module):
    """Features `[squares, rows, width]` to `[squares, queries + 1, out]`.

    `kind.settings` are the checkpoint's `visual_abstractor` config.
    """

    def __init__(self, kind: ProjectorType, width: int, out: int) -> None:
        super().__init__()
        settings = kind.settings
        queries, own = settings["num_learnable_queries"], settings["hidden_size"]
        self.encoder = _Encoder(kind, width)
        self.visual_fc = nn.Linear(own, out)
        self.query_embeds = nn.Parameter(torch.empty(1, queries, own))
        self.vit_eos = nn.Parameter(torch.empty(1, 1, out))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """One row for each query, and the end."""
        squares = len(features)
        queries = self.encoder(self.query_embeds.expand(squares, -1, -1), features)
        return torch.cat([self.visual_fc(queries), self.vit_eos.expand(squares, -1, -1)], dim=1)


class _Encoder(nn.Module):
    def __init__(self, kind: ProjectorType, width: int) -> None:
        super().__init__()
        depth = kind.settings["num_hidden_layers"]
        self.layers = nn.ModuleList(_Layer(kind, width) for _ in range(depth))

    def forward(self, queries: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            queries = layer(queries, features)
        return queries


class _Layer(nn.Module):
    def __init__(self, kind: ProjectorType, width: int) -> None:
        super().__init__()
        self.crossattention = _CrossAttention(kind, width)

    def forward(self, queries: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.crossattention(queries, features)
        return out


class _CrossAttention(nn.Module):
    def __init__(self, kind: ProjectorType, width: int) -> None:
        super().__init__()
        self.attention = _Attention(kind, width)
        self.output = _Output(kind, width)
        self.norm1 = nn.LayerNorm(width)
        self.normk = nn.LayerNorm(width)

    def forward(self, queries: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        queries = self.norm1(queries)
        read = torch.cat([queries, self.normk(features)], dim=1)
        out: torch.Tensor = self.output(self.attention(queries, read), queries)
        return out


class _Attention(nn.Module):
    """The tables of positions lie in the checkpoint, as its authors' buffers."""

    def __init__(self, kind: ProjectorType, width: int) -> None:
        super().__init__()
        settings = kind.settings
        own, queries = settings["hidden_size"], settings["num_learnable_queries"]
        self.heads = settings["num_attention_heads"]
        self.query = nn.Linear(own, own)
        self.key = nn.Linear(width, own)
        self.value = nn.Linear(width, own)
        self.q_pos_embed = nn.Parameter(torch.empty(queries, own))
        self.k_pos_embed = nn.Parameter(torch.empty(settings["grid_size"] ** 2 + 1, own))

    def forward(self, queries: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
        places = torch.cat([self.q_pos_embed, self.k_pos_embed])
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (
                self.query(queries + self.q_pos_embed),
                self.key(read + places),
                self.value(read),
            )
        )
        return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class _Output(nn.Module):
    def __init__(self, kind: ProjectorType, width: int) -> None:
        super().__init__()
        self.out_proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = _Mlp(kind)

    def forward(self, attended: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        x = queries + self.out_proj(attended)
        out: torch.Tensor = x + self.mlp(self.norm2(x))
        return out


class _Mlp(nn.Module):
    def __init__(self, kind: ProjectorType) -> None:
        super().__init__()
        own, inner = kind.settings["hidden_size"], kind.settings["intermediate_size"]
        self.w1 = nn.Linear(own, inner)
        self.w2 = nn.Linear(inner, own)
        self.w3 = nn.Linear(own, inner)
        self.ffn_ln = nn.LayerNorm(inner, kind.settings["layer_norm_eps"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.w2(self.ffn_ln(functional.silu(self.w1(x)) * self.w3(x)))
        return out
