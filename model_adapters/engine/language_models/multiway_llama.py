"""Llama with keys, values and norms of its own for images: mPLUG-Owl2's modality-adaptive modules.

Facts: X-PLUG/mPLUG-Owl, mPLUG-Owl2/mplug_owl2/model/modeling_llama2.py (which modules come twice),
multiway.py (`multiway.0` for text, `multiway.1` for images).

Both ways are computed for every row and one is taken, so that the shape of a step's work does not
depend on what its rows are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from vllm.compilation.decorators import support_torch_compile
from vllm.config import VllmConfig
from vllm.model_executor.layers.linear import ColumnParallelLinear
from vllm.model_executor.models.llama import (
    LlamaAttention,
    LlamaDecoderLayer,
    LlamaForCausalLM,
    LlamaModel,
)
from vllm.model_executor.models.utils import WeightsMapper

__all__ = ["MultiwayLlamaForCausalLM"]


class _MultiwayLinear(nn.Module):
    """Two linear layers without bias; `image_rows` chooses."""

    def __init__(self, width: int, out: int, quant_config: Any, prefix: str) -> None:
        super().__init__()
        self.multiway = nn.ModuleList(
            ColumnParallelLinear(
                width, out, bias=False, quant_config=quant_config, prefix=f"{prefix}.multiway.{way}"
            )
            for way in range(2)
        )

    def forward(self, x: torch.Tensor, image_rows: torch.Tensor) -> torch.Tensor:
        text, image = (way(x)[0] for way in self.multiway)
        return torch.where(image_rows[:, None], image, text)


class _Scale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))


class _MultiwayNorm(nn.Module):
    """Llama's norm with two weights; `image_rows` chooses."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.multiway = nn.ModuleList(_Scale(width) for _ in range(2))

    def forward(self, x: torch.Tensor, image_rows: torch.Tensor) -> torch.Tensor:
        wide = x.float()
        normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        text, image = (way.weight for way in self.multiway)
        return torch.where(image_rows[:, None], image, text) * normed.to(x.dtype)


class _MultiwayAttention(LlamaAttention):
    def __init__(self, *, hidden_size: int, quant_config: Any, prefix: str, **kwargs: Any) -> None:
        super().__init__(
            hidden_size=hidden_size, quant_config=quant_config, prefix=prefix, **kwargs
        )
        del self.qkv_proj
        queries, keys = (
            heads * self.head_dim for heads in (self.total_num_heads, self.total_num_kv_heads)
        )
        self.q_proj = ColumnParallelLinear(
            hidden_size, queries, bias=False, quant_config=quant_config, prefix=f"{prefix}.q_proj"
        )
        self.k_proj = _MultiwayLinear(hidden_size, keys, quant_config, f"{prefix}.k_proj")
        self.v_proj = _MultiwayLinear(hidden_size, keys, quant_config, f"{prefix}.v_proj")
        self.image_rows: torch.Tensor

    def forward(self, positions: torch.Tensor, hidden_states: torch.Tensor) -> torch.Tensor:
        image_rows = self.image_rows[: hidden_states.shape[0]]
        q, _ = self.q_proj(hidden_states)
        k = self.k_proj(hidden_states, image_rows)
        v = self.v_proj(hidden_states, image_rows)
        q, k = self.rotary_emb(positions, q, k)
        output: torch.Tensor = self.o_proj(self.attn(q, k, v))[0]
        return output


class _MultiwayLayer(LlamaDecoderLayer):
    def __init__(self, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config, prefix, attn_layer_type=_MultiwayAttention)
        config = vllm_config.model_config.hf_config
        self.input_layernorm = _MultiwayNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = _MultiwayNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self, positions: torch.Tensor, hidden_states: torch.Tensor, residual: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        image_rows = self.self_attn.image_rows[: hidden_states.shape[0]]
        if residual is not None:
            hidden_states = hidden_states + residual
        attended = self.self_attn(
            positions=positions, hidden_states=self.input_layernorm(hidden_states, image_rows)
        )
        hidden_states = hidden_states + attended
        return self.mlp(self.post_attention_layernorm(hidden_states, image_rows)), hidden_states


@support_torch_compile(
    dynamic_arg_dims={
        "input_ids": {0: "b"},
        "positions": {0: "b"},
        "intermediate_tensors": {0: "b"},
        "inputs_embeds": {0: "b"},
    }
)
class _MultiwayModel(LlamaModel):
    hf_to_vllm_mapper = WeightsMapper(
        orig_to_new_stacked={
            ".gate_proj": (".gate_up_proj", 0),
            ".up_proj": (".gate_up_proj", 1),
        }
    )

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "", **kwargs: Any) -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix, layer_type=_MultiwayLayer)
        rows = vllm_config.scheduler_config.max_num_batched_tokens
        self.register_buffer("image_rows", torch.zeros(rows, dtype=torch.bool), persistent=False)
        for layer in self.layers:
            # The same tensor in every layer: filled once a step.
            layer.self_attn.register_buffer("image_rows", self.image_rows, persistent=False)


class MultiwayLlamaForCausalLM(LlamaForCausalLM):
    """The language model; `image_rows` is filled by the composed model."""

    hf_to_vllm_mapper = _MultiwayModel.hf_to_vllm_mapper
    packed_modules_mapping = {"gate_up_proj": ["gate_proj", "up_proj"]}  # noqa: RUF012

    def _init_model(self, vllm_config: VllmConfig, prefix: str = "", **kwargs: Any) -> nn.Module:
        return _MultiwayModel(vllm_config=vllm_config, prefix=prefix)

    @property
    def image_rows(self) -> torch.Tensor:
        """`[rows]`, True where a row of the step belongs to an image."""
        rows: torch.Tensor = self.model.image_rows
        return rows
