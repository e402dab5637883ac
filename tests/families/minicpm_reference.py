"""MiniCPM in plain torch: a Llama with scaled embeddings, residuals and logits.

From BAAI-DCAI/Bunny, bunny/model/language_model/minicpm/modeling_minicpm.py, and bunny_minicpm.py,
which scales the features of images as it does embeddings. Heads share no keys here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from tests.families.phi_reference import Scores

__all__ = ["MiniCpmReference"]


class MiniCpmReference:
    """A language model over a state dict, with the few methods of transformers' that are used."""

    def __init__(self, raw: dict[str, Any], state: dict[str, torch.Tensor]) -> None:
        self.raw = raw
        self.state = state
        self.table = state["model.embed_tokens.weight"]

    def get_input_embeddings(self) -> nn.Module:
        """The table of token embeddings, not scaled."""
        return nn.Embedding.from_pretrained(self.table)

    def resize_token_embeddings(self, rows: int) -> None:
        """Cut the tied table to the tokenizer's vocabulary."""
        self.table = self.table[:rows]

    def __call__(self, *, inputs_embeds: torch.Tensor, use_cache: bool) -> Scores:
        """Logits of a batch of one sequence `[1, tokens, hidden]`."""
        layers = self.raw["num_hidden_layers"]
        share = self.raw["scale_depth"] / layers**0.5
        x = inputs_embeds[0] * self.raw["scale_emb"]
        for layer in range(layers):
            name = f"model.layers.{layer}"
            x = x + share * self._attend(f"{name}.self_attn", self._norm(f"{name}.input_", x))
            y = self._norm(f"{name}.post_attention_", x)
            gated = functional.silu(self._linear(f"{name}.mlp.gate_proj", y))
            hidden = gated * self._linear(f"{name}.mlp.up_proj", y)
            x = x + share * self._linear(f"{name}.mlp.down_proj", hidden)
        x = self._norm("model.", x, "norm")
        width = self.raw["hidden_size"] / self.raw["dim_model_base"]
        return Scores(((x / width) @ self.table.T)[None])

    def _attend(self, name: str, y: torch.Tensor) -> torch.Tensor:
        heads = self.raw["num_attention_heads"]
        query, key, value = (
            self._linear(f"{name}.{part}", y).view(len(y), heads, -1).transpose(0, 1)
            for part in ("q_proj", "k_proj", "v_proj")
        )
        out = functional.scaled_dot_product_attention(
            _rotate(query), _rotate(key), value, is_causal=True
        )
        return self._linear(f"{name}.o_proj", out.transpose(0, 1).reshape(len(y), -1))

    def _linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.state[f"{name}.weight"])

    def _norm(self, prefix: str, x: torch.Tensor, name: str = "layernorm") -> torch.Tensor:
        size = x.pow(2).mean(-1, keepdim=True) + self.raw["rms_norm_eps"]
        return self.state[f"{prefix}{name}.weight"] * x * torch.rsqrt(size)


def _rotate(x: torch.Tensor) -> torch.Tensor:
    """Rotary positions, base 10000."""
    width = x.shape[-1]
    power = torch.arange(0, width, 2).float() / width
    angles = torch.outer(torch.arange(x.shape[1]).float(), 10000.0**-power).repeat(1, 2)
    half = torch.cat([-x[..., width // 2 :], x[..., : width // 2]], dim=-1)
    return x * angles.cos() + half * angles.sin()
