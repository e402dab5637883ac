"""What the authors' code of old language models computes, in plain torch, apart from the adapter.

Nothing of `sensorium` is imported here. Sources: QwenLM/Qwen (modeling_qwen.py), InternLM/InternLM
(modeling_internlm.py), baichuan-inc/Baichuan-7B and Baichuan2-7B (modeling_baichuan.py), XVERSE
(modeling_xverse.py), FlagAI-Open/FlagAI (modeling_aquila.py), meta-llama/llama (llama/model.py) and
fairscale's parallel layers.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

__all__ = ["AquilaReference", "LlamaLikeReference", "MetaReference", "QwenReference", "greedy"]

State = dict[str, torch.Tensor]


@torch.inference_mode()
def greedy(model: Any, prompt: list[int], tokens: int, end: int) -> tuple[list[int], torch.Tensor]:
    """Greedy tokens and the log-probabilities `[tokens, vocabulary]` they were taken from."""
    ids, rows = list(prompt), []
    for _ in range(tokens):
        rows.append(torch.log_softmax(model.logits(torch.tensor(ids)).float(), -1))
        ids.append(int(rows[-1].argmax()))
        if ids[-1] == end:
            break
    return ids[len(prompt) :], torch.stack(rows)


def read_state(folder: Path) -> State:
    """Every tensor of the weight files."""
    from safetensors.torch import load_file

    state: State = {}
    for path in sorted(folder.glob("*.bin")):
        state.update(torch.load(path, weights_only=True))
    for path in sorted(folder.glob("*.safetensors")):
        state.update(load_file(path))
    return state


def _norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def _rotate_half(x: torch.Tensor, base: float) -> torch.Tensor:
    """Rotary positions on `[heads, tokens, size]`, the two halves of a head being the pairs."""
    size = x.shape[-1]
    frequencies = 1.0 / base ** (torch.arange(0, size, 2).float() / size)
    angles = torch.outer(torch.arange(x.shape[-2]).float(), frequencies)
    angles = torch.cat([angles, angles], dim=-1)
    turned = torch.cat([-x[..., size // 2 :], x[..., : size // 2]], dim=-1)
    return x * angles.cos() + turned * angles.sin()


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, limit: float | None = None
) -> torch.Tensor:
    """Causal attention of `[heads, tokens, size]`; scores are cut off at `limit`."""
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    tokens = scores.shape[-1]
    if limit is not None:
        scores = scores.clamp(min=-limit, max=limit)
    scores = scores + torch.full((tokens, tokens), float("-inf")).triu(1)
    out = scores.softmax(-1) @ value
    return out.transpose(0, 1).reshape(tokens, -1)


def _heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    return x.view(len(x), heads, -1).transpose(0, 1)


class QwenReference:
    """QWenLMHeadModel within the trained length."""

    def __init__(self, folder: Path) -> None:
        self.raw: dict[str, Any] = json.loads((folder / "config.json").read_text())
        self.state = read_state(folder)

    def logits(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits of the token after `ids`."""
        return self.from_embeddings(self.state["transformer.wte.weight"][ids])

    def from_embeddings(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the token after the embeddings `[tokens, hidden]`."""
        state, eps = self.state, self.raw["layer_norm_epsilon"]
        heads, width = self.raw["num_attention_heads"], self.raw["hidden_size"]
        for layer in range(self.raw["num_hidden_layers"]):
            name = f"transformer.h.{layer}"
            y = _norm(x, state[f"{name}.ln_1.weight"], eps)
            mixed = functional.linear(
                y, state[f"{name}.attn.c_attn.weight"], state[f"{name}.attn.c_attn.bias"]
            )
            query, key, value = (_heads(part, heads) for part in mixed.split(width, dim=-1))
            base = self.raw["rotary_emb_base"]
            out = _attend(_rotate_half(query, base), _rotate_half(key, base), value)
            x = x + out @ state[f"{name}.attn.c_proj.weight"].T
            y = _norm(x, state[f"{name}.ln_2.weight"], eps)
            a1, a2 = y @ state[f"{name}.mlp.w1.weight"].T, y @ state[f"{name}.mlp.w2.weight"].T
            x = x + (a1 * functional.silu(a2)) @ state[f"{name}.mlp.c_proj.weight"].T
        last = _norm(x[-1], state["transformer.ln_f.weight"], eps)
        return last @ state["lm_head.weight"].T


class LlamaLikeReference:
    """InternLM, Baichuan, XVERSE: Llama with biases or packed projections; Baichuan2's head."""

    limit: float | None = None

    def __init__(self, folder: Path) -> None:
        self.raw: dict[str, Any] = json.loads((folder / "config.json").read_text())
        self.state = read_state(folder)

    def logits(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits of the token after `ids`."""
        state, eps = self.state, self.raw["rms_norm_eps"]
        x = state["model.embed_tokens.weight"][ids]
        for layer in range(self.raw["num_hidden_layers"]):
            name = f"model.layers.{layer}"
            y = _norm(x, state[f"{name}.input_layernorm.weight"], eps)
            x = x + self._attention(f"{name}.self_attn", y)
            y = _norm(x, state[f"{name}.post_attention_layernorm.weight"], eps)
            gate = functional.silu(self._linear(f"{name}.mlp.gate_proj", y))
            inner = gate * self._linear(f"{name}.mlp.up_proj", y)
            x = x + self._linear(f"{name}.mlp.down_proj", inner)
        last = _norm(x[-1], state["model.norm.weight"], eps)
        head = state["lm_head.weight"]
        if self.raw["architectures"] == ["BaichuanForCausalLM"]:
            head = functional.normalize(head)
        return last @ head.T

    def _attention(self, name: str, y: torch.Tensor) -> torch.Tensor:
        heads = self.raw["num_attention_heads"]
        groups = self.raw.get("num_key_value_heads", heads)
        if f"{name}.W_pack.weight" in self.state:
            packed = self._linear(f"{name}.W_pack", y).unflatten(-1, (3, -1))
            parts = tuple(packed.unbind(-2))
        else:
            parts = tuple(self._linear(f"{name}.{part}_proj", y) for part in "qkv")
        query = _rotate_half(_heads(parts[0], heads), 10000.0)
        key = _rotate_half(_heads(parts[1], groups), 10000.0).repeat_interleave(heads // groups, 0)
        value = _heads(parts[2], groups).repeat_interleave(heads // groups, 0)
        return self._linear(f"{name}.o_proj", _attend(query, key, value, self.limit))

    def _linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"))


class AquilaReference(LlamaLikeReference):
    """Aquila cuts attention scores off."""

    limit = 1024.0


class MetaReference:
    """llama/model.py over model-parallel files, each rank computing its share."""

    def __init__(self, folder: Path) -> None:
        self.raw: dict[str, Any] = json.loads((folder / "params.json").read_text())
        self.ranks = [
            torch.load(path, weights_only=True)
            for path in sorted(folder.glob("consolidated.*.pth"))
        ]

    def logits(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits of the token after `ids`."""
        x = torch.cat([rank["tok_embeddings.weight"][ids] for rank in self.ranks], dim=-1)
        eps, first = self.raw["norm_eps"], self.ranks[0]
        for layer in range(self.raw["n_layers"]):
            name = f"layers.{layer}"
            x = x + self._attention(name, _norm(x, first[f"{name}.attention_norm.weight"], eps))
            y = _norm(x, first[f"{name}.ffn_norm.weight"], eps)
            x = x + sum(self._feed_forward(rank, f"{name}.feed_forward", y) for rank in self.ranks)
        last = _norm(x[-1], first["norm.weight"], eps)
        return torch.cat([last @ rank["output.weight"].T for rank in self.ranks])

    def _feed_forward(self, rank: State, name: str, y: torch.Tensor) -> torch.Tensor:
        inner = functional.silu(y @ rank[f"{name}.w1.weight"].T) * (y @ rank[f"{name}.w3.weight"].T)
        return inner @ rank[f"{name}.w2.weight"].T

    def _attention(self, name: str, y: torch.Tensor) -> torch.Tensor:
        heads = self.raw["n_heads"] // len(self.ranks)
        parts = []
        for rank in self.ranks:
            query, key, value = (
                _heads(y @ rank[f"{name}.attention.{part}.weight"].T, heads)
                for part in ("wq", "wk", "wv")
            )
            out = _attend(self._turned(query), self._turned(key), value)
            parts.append(out @ rank[f"{name}.attention.wo.weight"].T)
        return torch.stack(parts).sum(0)

    def _turned(self, x: torch.Tensor) -> torch.Tensor:
        """Complex rotation of neighbouring pairs."""
        size = x.shape[-1]
        frequencies = 1.0 / 10000.0 ** (torch.arange(0, size, 2).float() / size)
        angles = torch.outer(torch.arange(x.shape[-2]).float(), frequencies)
        turned = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
        turned = turned * torch.polar(torch.ones_like(angles), angles)
        return torch.view_as_real(turned).flatten(-2)
