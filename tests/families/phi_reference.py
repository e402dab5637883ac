"""phi-1.5 and phi-2 in plain torch; the head has no bias in Bunny.

From transformers' modeling_phi.py; not that class itself, because vLLM rewrites it in processes
where an engine has run phi.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

__all__ = ["PhiReference", "Scores"]


class Scores:
    """Logits, as transformers returns them."""

    def __init__(self, logits: torch.Tensor) -> None:
        self.logits = logits


class PhiReference:
    """A language model over a state dict, with the few methods of transformers' that are used."""

    def __init__(self, raw: dict[str, Any], state: dict[str, torch.Tensor]) -> None:
        self.raw = raw
        self.state = state
        self.rows = state["lm_head.weight"].shape[0]

    def get_input_embeddings(self) -> nn.Module:
        """The table of token embeddings."""
        return nn.Embedding.from_pretrained(self.state["model.embed_tokens.weight"])

    def resize_token_embeddings(self, rows: int) -> None:
        """Cut the head to the tokenizer's vocabulary."""
        self.rows = rows

    def __call__(self, *, inputs_embeds: torch.Tensor, use_cache: bool) -> Scores:
        """Logits of a batch of one sequence `[1, tokens, hidden]`."""
        x = inputs_embeds[0]
        for layer in range(self.raw["num_hidden_layers"]):
            name = f"model.layers.{layer}"
            y = self._norm(f"{name}.input_layernorm", x)
            hidden = functional.gelu(self._linear(f"{name}.mlp.fc1", y), approximate="tanh")
            x = x + self._attend(f"{name}.self_attn", y) + self._linear(f"{name}.mlp.fc2", hidden)
        x = self._norm("model.final_layernorm", x)
        scores = x @ self.state["lm_head.weight"].T
        if "lm_head.bias" in self.state:
            scores = scores + self.state["lm_head.bias"]
        return Scores(scores[:, : self.rows][None])

    def _attend(self, name: str, y: torch.Tensor) -> torch.Tensor:
        heads = self.raw["num_attention_heads"]
        query, key, value = (
            self._linear(f"{name}.{part}", y).view(len(y), heads, -1).transpose(0, 1)
            for part in ("q_proj", "k_proj", "v_proj")
        )
        out = functional.scaled_dot_product_attention(
            self._rotate(query), self._rotate(key), value, is_causal=True
        )
        return self._linear(f"{name}.dense", out.transpose(0, 1).reshape(len(y), -1))

    def _rotate(self, x: torch.Tensor) -> torch.Tensor:
        """Rotary positions on the first part of each head."""
        turned = int(x.shape[-1] * self.raw["partial_rotary_factor"])
        power = torch.arange(0, turned, 2).float() / turned
        angles = torch.outer(torch.arange(x.shape[1]).float(), self.raw["rope_theta"] ** -power)
        cos, sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)
        part, rest = x[..., :turned], x[..., turned:]
        half = torch.cat([-part[..., turned // 2 :], part[..., : turned // 2]], dim=-1)
        return torch.cat([part * cos + half * sin, rest], dim=-1)

    def _linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def _norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        return functional.layer_norm(x, weight.shape, weight, bias, self.raw["layer_norm_eps"])
