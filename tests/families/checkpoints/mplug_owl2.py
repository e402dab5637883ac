"""mPLUG-Owl2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.families import tiny
from tests.families.checkpoints.base import WIDTH, State, small_llama

__all__ = ["BUILDERS"]

_TOWER = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 56,
    "patch_size": 14,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-6,
    "use_cls_token": True,
    "use_post_layernorm": True,
    "use_flash_attn": False,
}
_ABSTRACTOR = {
    "hidden_size": 64,
    "encoder_hidden_size": 64,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_learnable_queries": 17,
    "layer_norm_eps": 1e-6,
    "grid_size": 4,
    "add_v2t_pos_emb": False,
    "use_cls_token": True,
}
_MULTIWAY = (
    "self_attn.k_proj",
    "self_attn.v_proj",
    "input_layernorm",
    "post_attention_layernorm",
)


def _linear(name: str, out: int, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, width), f"{name}.bias": (out,)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _tower(width: int, inner: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.cls_token": (1, 1, width),
        "embeddings.patch_embed.weight": (width, 3, 14, 14),
        "embeddings.position_embedding": (1, 17, width),
        **_norm("embeddings.pre_layernorm", width),
    }
    for layer in range(3):
        name = f"encoder.layers.{layer}"
        shapes |= _linear(f"{name}.self_attn.query_key_value", 3 * width, width)
        shapes |= _linear(f"{name}.self_attn.dense", width, width)
        shapes |= _linear(f"{name}.mlp.fc1", inner, width) | _linear(
            f"{name}.mlp.fc2", width, inner
        )
        for norm in ("input_layernorm", "post_attention_layernorm"):
            shapes |= _norm(f"{name}.{norm}", width)
    return shapes | _norm("post_layernorm", width)


def _abstractor(width: int, inner: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "query_embeds": (1, 17, width),
        "vit_eos": (1, 1, WIDTH),
        **_linear("visual_fc", WIDTH, width),
    }
    for layer in range(2):
        name = f"encoder.layers.{layer}.crossattention"
        for part in ("query", "key", "value"):
            shapes |= _linear(f"{name}.attention.{part}", width, width)
        shapes |= _linear(f"{name}.output.out_proj", width, width)
        mlp = f"{name}.output.mlp"
        shapes |= _linear(f"{mlp}.w1", inner, width) | _linear(f"{mlp}.w2", width, inner)
        shapes |= _linear(f"{mlp}.w3", inner, width) | _norm(f"{mlp}.ffn_ln", inner)
        for norm in ("norm1", "normk", "output.norm2"):
            shapes |= _norm(f"{name}.{norm}", width)
    return shapes


def _tables(width: int) -> State:
    """Sine and cosine positions, which the authors' code saves with the weights."""

    def along(positions: Any, size: int) -> Any:
        angles = np.outer(positions.reshape(-1), 10000.0 ** -(np.arange(size // 2) / (size / 2)))
        return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)

    rows, columns = np.meshgrid(np.arange(4.0), np.arange(4.0), indexing="ij")
    grid = np.concatenate([along(columns, width // 2), along(rows, width // 2)], axis=1)
    tables = {
        "q_pos_embed": along(np.arange(17.0), width),
        "k_pos_embed": np.concatenate([np.zeros((1, width)), grid]),
    }
    return {name: torch.from_numpy(table).float() for name, table in tables.items()}


def mplug_owl2(folder: Path) -> None:
    """The layout of MAGAer13/mplug-owl2-llama2-7b."""
    config, language = small_llama(401)
    shapes = {f"model.vision_model.{name}": shape for name, shape in _tower(64, 96).items()}
    parts = _abstractor(64, 80)
    shapes |= {f"model.visual_abstractor.{name}": shape for name, shape in parts.items()}
    state = tiny.draw_shapes(shapes, 4100)
    for layer in range(2):
        name = f"model.visual_abstractor.encoder.layers.{layer}.crossattention.attention"
        state |= {f"{name}.{table}": value for table, value in _tables(64).items()}
    for number, (name, value) in enumerate(language.items()):
        part = next((part for part in _MULTIWAY if f"{part}.weight" in name), None)
        if part is None:
            state[name] = value
            continue
        before, _, after = name.partition(part)
        other = tiny.draw(tuple(value.shape), 4900 + number, float(value.std()))
        state[f"{before}{part}.multiway.0{after}"] = value
        state[f"{before}{part}.multiway.1{after}"] = other + (value.ndim == 1)
    tiny.save_bin(folder, state)
    tiny.llama_tokenizer(folder, legacy=False)
    tiny.write_json(
        folder / "config.json",
        {
            "architectures": ["MPLUGOwl2LlamaForCausalLM"],
            "model_type": "mplug_owl2",
            "attention_bias": False,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 0,
            "freeze_vision_model": False,
            "hidden_act": "silu",
            "hidden_size": config.hidden_size,
            "initializer_range": 0.02,
            "intermediate_size": config.intermediate_size,
            "max_position_embeddings": 2048,
            "num_attention_heads": config.num_attention_heads,
            "num_hidden_layers": config.num_hidden_layers,
            "num_key_value_heads": config.num_key_value_heads,
            "pretraining_tp": 1,
            "rms_norm_eps": 1e-5,
            "rope_scaling": None,
            "rope_theta": 10000.0,
            "tie_word_embeddings": False,
            "torch_dtype": "float32",
            "transformers_version": "4.28.1",
            "tune_visual_abstractor": True,
            "use_cache": True,
            "visual_config": {
                "visual_abstractor": {"model_type": "mplug_owl_visual_abstract", **_ABSTRACTOR},
                "visual_model": {"model_type": "mplug_owl_vision_model", **_TOWER},
            },
            "vocab_size": config.vocab_size,
        },
    )


BUILDERS: dict[str, Callable[[Path], None]] = {"mplug-owl2": mplug_owl2}
