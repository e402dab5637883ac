"""LLaMA and Llama 2 as Meta published them: `params.json`, `consolidated.NN.pth`, no config.json.

Facts: meta-llama/llama, llama/model.py (rotary pairs side by side; the width of the MLP from
`multiple_of`), llama/tokenizer.py, and fairscale's layers: each model-parallel file holds a part of
the rows (`ColumnParallelLinear`), of the columns (`RowParallelLinear`, `ParallelEmbedding`) or a
copy of the norms.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.language_models.text_model import TextModel
from sensorium.model_adapters.spec import LanguageModel
from sensorium.model_adapters.tensor_files import read_names
from sensorium.model_adapters.tokenizer_kinds import SentencePieceFile
from sensorium.model_adapters.translation import Translation, llama_fields, refuse_other_values

__all__ = ["META_LLAMA", "TEXT_MODEL", "read_meta_folder", "shard_files"]

ARCHITECTURE = "MetaLlama"
_KEYS = ("dim", "n_layers", "n_heads", "multiple_of")
_TABLE = "tok_embeddings.weight"


def shard_files(folder: Path) -> list[str]:
    """The model-parallel files of a folder in order."""
    return sorted(path.name for path in folder.glob("consolidated.*.pth"))


def read_meta_folder(folder: Path) -> dict[str, Any] | None:
    """The parameters of a folder in Meta's layout; None for any other folder.

    Adds `architectures`, and where `vocab_size` says -1, as Meta's files do, the number of rows of
    the embedding table. Raises CheckpointError where that cannot be found.
    """
    path = folder / "params.json"
    if (folder / "config.json").exists() or not path.is_file():
        return None
    files = shard_files(folder)
    try:
        params = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}") from None
    if not files or not isinstance(params, dict) or any(key not in params for key in _KEYS):
        return None
    if int(params.get("vocab_size", -1)) <= 0:
        params["vocab_size"] = _rows(folder, files[0])
    return {**params, "architectures": [ARCHITECTURE]}


def _rows(folder: Path, file: str) -> int:
    """Rows of the embedding table, which the files split by columns."""
    names = read_names(folder / file) or {}
    shape = names[_TABLE].shape if _TABLE in names else None
    if shape is None:
        raise CheckpointError(
            f"{folder / 'params.json'}: `vocab_size` is -1, and {file} does not say the shape of "
            f"{_TABLE}; write the vocabulary's size into params.json"
        )
    return shape[0]


def _fields(raw: Mapping[str, Any]) -> dict[str, Any]:
    refuse_other_values(raw, {"use_scaled_rope": (False,), "moe": ()}, "Meta's LLaMA layout")
    width, multiple = int(raw["dim"]), int(raw["multiple_of"])
    inner = int(2 * 4 * width / 3)
    if raw.get("ffn_dim_multiplier") is not None:
        inner = int(raw["ffn_dim_multiplier"] * inner)
    # LLaMA 1 was trained on 2048 positions, Llama 2 on 4096; no file says so, the epsilon tells.
    positions = 4096 if raw.get("norm_eps") == 1e-5 else 2048
    named = {
        "vocab_size": raw["vocab_size"],
        "hidden_size": width,
        "intermediate_size": multiple * ((inner + multiple - 1) // multiple),
        "num_hidden_layers": raw["n_layers"],
        "num_attention_heads": raw["n_heads"],
        "num_key_value_heads": raw.get("n_kv_heads"),
        "rms_norm_eps": raw.get("norm_eps", 1e-5),
        "rope_theta": raw.get("rope_theta", 10000),
        "max_position_embeddings": raw.get("max_position_embeddings", positions),
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    return llama_fields(named, "Meta's LLaMA layout")


META_LLAMA = LanguageModel(
    "llama",
    "LlamaForCausalLM",
    translation=Translation(
        name="meta-llama",
        fields=_fields,
        outer={
            "tok_embeddings": "model.embed_tokens",
            "norm": "model.norm",
            "output": "lm_head",
        },
        layers="layers.",
        parts={
            "attention_norm": ("input_layernorm",),
            "ffn_norm": ("post_attention_layernorm",),
            "attention.wq": ("self_attn.q_proj",),
            "attention.wk": ("self_attn.k_proj",),
            "attention.wv": ("self_attn.v_proj",),
            "attention.wo": ("self_attn.o_proj",),
            "feed_forward.w1": ("mlp.gate_proj",),
            "feed_forward.w3": ("mlp.up_proj",),
            "feed_forward.w2": ("mlp.down_proj",),
        },
        interleaved=("self_attn.q_proj", "self_attn.k_proj"),
        shard_axes={
            "self_attn.q_proj": 0,
            "self_attn.k_proj": 0,
            "self_attn.v_proj": 0,
            "mlp.gate_proj": 0,
            "mlp.up_proj": 0,
            "lm_head": 0,
            "self_attn.o_proj": 1,
            "mlp.down_proj": 1,
            "embed_tokens": 1,
            "norm": None,
            "input_layernorm": None,
            "post_attention_layernorm": None,
        },
    ),
    tokenizer=SentencePieceFile(),
)

TEXT_MODEL = TextModel(
    name="meta-llama",
    title="LLaMA and Llama 2 in Meta's layout",
    checkpoints=("meta-llama/Llama-2-7b", "meta-llama/Llama-2-13b"),
    architectures=(ARCHITECTURE,),
    language_model=META_LLAMA,
    limits=(
        "a local folder with `params.json`, `consolidated.NN.pth` and `tokenizer.model`; LLaMA 1's "
        "2048 positions and Llama 2's 4096 are told apart by `norm_eps`, which fails for "
        "Llama-2-7b-chat (`--hf-overrides '{\"max_position_embeddings\": 4096}'` mends it); no "
        "conversation format: chat models need `--chat-template`; no Llama 3 (its tokenizer is "
        "another)"
    ),
    proof="tests/families/test_legacy_lms.py",
)
