"""A tiny folder of DeepSeek-VL2, and a tower for it: vLLM builds SigLIP So400M whatever is asked.

Facts: deepseek-ai/DeepSeek-VL2, deepseek_vl2/models/configuration_deepseek.py, and `config.json`
and `processor_config.json` of deepseek-ai/deepseek-vl2-tiny.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.families.native_parts import TEXT, VISION, tokenizer_with

__all__ = ["build_small_tower", "deepseek_vl2"]

_PATCH = 14
# Five patches a side: the last squares of two are padded, as with the 27 of the published sizes.
_TILE = 5 * _PATCH
_TILES = [[_TILE, _TILE], [2 * _TILE, _TILE], [_TILE, 2 * _TILE]]


def deepseek_vl2(folder: Path) -> None:
    """DeepSeek-VL2, whose language model is dense here."""
    names = ["<image>", "<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>", "<|grounding|>"]
    tokenizer = tokenizer_with(folder, [*names, "<|User|>", "<|Assistant|>"], "<image>")
    tokenizer.bos_token = tokenizer.eos_token
    tokenizer.save_pretrained(folder)
    width, hidden = VISION["hidden_size"], TEXT["hidden_size"]
    config = {
        "model_type": "deepseek_vl_v2",
        "architectures": ["DeepseekVLV2ForCausalLM"],
        "candidate_resolutions": _TILES,
        "tile_tag": "2D",
        "global_view_pos": "head",
        "vision_config": {"model_type": "vision", "image_size": _TILE, "patch_size": _PATCH},
        "projector_config": {"model_type": "mlp_projector", "input_dim": width, "n_embed": hidden},
        "language_config": {
            **TEXT,
            "model_type": "deepseek_v2",
            "architectures": ["DeepseekV2ForCausalLM"],
            "num_key_value_heads": TEXT["num_attention_heads"],
            "first_k_dense_replace": TEXT["num_hidden_layers"],
            "kv_lora_rank": None,
            "q_lora_rank": None,
            "qk_nope_head_dim": 0,
            "qk_rope_head_dim": 0,
            "v_head_dim": 0,
            "use_mla": False,
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    processor = {
        "processor_class": "DeepseekVLV2Processor",
        "candidate_resolutions": _TILES,
        "patch_size": _PATCH,
        "downsample_ratio": 2,
        "pad_token": tokenizer.pad_token,
    }
    (folder / "processor_config.json").write_text(json.dumps(processor))


def build_small_tower(patch: pytest.MonkeyPatch) -> None:
    """Let timm build the same kind of tower at this folder's sizes."""
    import timm

    build = timm.create_model
    sizes = {
        "img_size": _TILE,
        "embed_dim": VISION["hidden_size"],
        "depth": VISION["num_hidden_layers"],
        "num_heads": VISION["num_attention_heads"],
        "mlp_ratio": 2,
    }

    def small(name: str, **options: Any) -> Any:
        return build(name, **{**options, **sizes})

    patch.setattr(timm, "create_model", small)
