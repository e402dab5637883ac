"""A tiny random text embedder in the layout of Hugging Face's Qwen3, for /v1/embeddings.

Random, seeded weights: equal texts get equal vectors, and that is all they mean. It is marked as a
Matryoshka model, so that requests may ask for fewer dimensions. About 0.2 MB. Serve it with vLLM's
`--runner pooling --convert embed`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorium.model_adapters.ct2.safetensors_writer import write_safetensors
from tests.kit.tiny_whisper import END, tokenizer

WIDTH, HEADS, HEAD, FFN, LAYERS, POSITIONS = 64, 2, 32, 128, 1, 512
_END_ID = 256  # the tokens before it are the 256 bytes


def write_tiny_embedder(folder: Path, *, seed: int = 0) -> Path:
    """Write the checkpoint into `folder` (made if need be) and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in _files().items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    write_safetensors(folder / "model.safetensors", _weights(seed), "float32")
    return folder


def _files() -> dict[str, dict[str, Any]]:
    return {
        "config.json": {
            "architectures": ["Qwen3ForCausalLM"],
            "model_type": "qwen3",
            "dtype": "float32",
            "vocab_size": _END_ID + 1,
            "hidden_size": WIDTH,
            "intermediate_size": FFN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS,
            "head_dim": HEAD,
            "max_position_embeddings": POSITIONS,
            "rms_norm_eps": 1e-6,
            "rope_theta": 10000.0,
            "tie_word_embeddings": True,
            "eos_token_id": _END_ID,
            "is_matryoshka": True,
            "matryoshka_dimensions": [1, 16, WIDTH],
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": END,
            "pad_token": END,
        },
        "tokenizer.json": tokenizer({END: _END_ID}),
    }


def _weights(seed: int) -> dict[str, NDArray[np.generic]]:
    random = np.random.default_rng(seed)
    projected = HEADS * HEAD
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (_END_ID + 1, WIDTH)}
    for index in range(LAYERS):
        layer = f"model.layers.{index}"
        for name in ("q", "k", "v"):
            shapes[f"{layer}.self_attn.{name}_proj.weight"] = (projected, WIDTH)
        shapes[f"{layer}.self_attn.o_proj.weight"] = (WIDTH, projected)
        for name in ("gate", "up"):
            shapes[f"{layer}.mlp.{name}_proj.weight"] = (FFN, WIDTH)
        shapes[f"{layer}.mlp.down_proj.weight"] = (WIDTH, FFN)
        for name in ("self_attn.q_norm", "self_attn.k_norm"):
            shapes[f"{layer}.{name}.weight"] = (HEAD,)
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"{layer}.{name}.weight"] = (WIDTH,)
    shapes["model.norm.weight"] = (WIDTH,)
    weights: dict[str, NDArray[np.generic]] = {}
    for name, shape in shapes.items():
        values = (0.2 * random.standard_normal(shape)).astype(np.float32)
        weights[name] = values + 1 if name.endswith("norm.weight") else values
    return weights
