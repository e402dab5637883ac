"""DeepSeek-VL."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.families import tiny
from tests.families.checkpoints.base import WIDTH, State, small_llama
from tests.families.checkpoints.timm import timm_shapes

__all__ = ["BUILDERS"]

_BEGIN, _END = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"
_TOWER = 64
_SIGLIP: dict[str, Any] = {
    "model_name": "siglip_large_patch16_384",
    "select_feature": "same",
    "select_layer": -1,
}


def _tokenizer(folder: Path) -> None:
    """A byte-level vocabulary that names the fast Llama tokenizer, with texts of its own."""
    tiny.qwen_tokenizer(folder)
    raw = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = raw["model"]["vocab"]
    vocabulary[_BEGIN] = vocabulary.pop("<|endoftext|>")
    numbers = {_BEGIN: vocabulary[_BEGIN], _END: len(vocabulary)}
    raw["added_tokens"] = [
        {
            "id": number,
            "content": text,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": True,
            "special": True,
        }
        for text, number in numbers.items()
    ]
    tiny.write_json(folder / "tokenizer.json", raw)
    (folder / "special_tokens_map.json").unlink(missing_ok=True)
    tiny.write_json(
        folder / "tokenizer_config.json",
        {
            "add_bos_token": True,
            "add_eos_token": False,
            "bos_token": _BEGIN,
            "eos_token": _END,
            "pad_token": _END,
            "unk_token": None,
            "clean_up_tokenization_spaces": False,
            "legacy": True,
            "model_max_length": 16384,
            "tokenizer_class": "LlamaTokenizerFast",
        },
    )


def _save(
    folder: Path, seed: int, vision: dict[str, Any], aligner: dict[str, Any], state: State
) -> None:
    config, language = small_llama(seed)
    state = state | {f"language_model.{name}": value for name, value in language.items()}
    tiny.save_bin(folder, state)
    _tokenizer(folder)
    tiny.write_json(
        folder / "config.json",
        {
            "architectures": ["MultiModalityCausalLM"],
            "model_type": "multi_modality",
            "torch_dtype": "float32",
            "aligner_config": {"cls": "MlpProjector", "model_type": "aligner", "params": aligner},
            "language_config": {
                "hidden_size": config.hidden_size,
                "intermediate_size": config.intermediate_size,
                "max_position_embeddings": 16384,
                "model_type": "llama",
                "num_attention_heads": config.num_attention_heads,
                "num_hidden_layers": config.num_hidden_layers,
                "torch_dtype": "float32",
                "vocab_size": config.vocab_size,
            },
            "vision_config": {"model_type": "vision", **vision},
        },
    )


def deepseek_vl(folder: Path) -> None:
    """The 1.3B models' layout: SigLIP alone, two linear layers."""
    shapes: dict[str, tuple[int, ...]] = timm_shapes(
        "vision_model.vision_tower.", grid=4, patch=16, width=_TOWER
    )
    shapes |= {
        "vision_model.vision_tower.attn_pool.latent": (1, 1, _TOWER),
        "aligner.layers.0.weight": (WIDTH, _TOWER),
        "aligner.layers.0.bias": (WIDTH,),
        "aligner.layers.2.weight": (WIDTH, WIDTH),
        "aligner.layers.2.bias": (WIDTH,),
    }
    aligner = {
        "depth": 2,
        "input_dim": _TOWER,
        "n_embed": WIDTH,
        "projector_type": "mlp_gelu",
    }
    vision = {"cls": "CLIPVisionTower", "params": {"image_size": 64, **_SIGLIP}}
    _save(folder, 301, vision, aligner, tiny.draw_shapes(shapes, 3100))


def _sam_shapes(width: int, grid: int) -> dict[str, tuple[int, ...]]:
    heads, blocks = 12, 4
    shapes: dict[str, tuple[int, ...]] = {
        "patch_embed.proj.weight": (width, 3, 16, 16),
        "patch_embed.proj.bias": (width,),
        "pos_embed": (1, grid, grid, width),
    }
    for block in range(blocks):
        name = f"blocks.{block}"
        linears = {
            "attn.qkv": (3 * width, width),
            "attn.proj": (width, width),
            "mlp.lin1": (4 * width, width),
            "mlp.lin2": (width, 4 * width),
        }
        for part, shape in linears.items():
            shapes |= {f"{name}.{part}.weight": shape, f"{name}.{part}.bias": shape[:1]}
        # Block 2 sees the whole picture, the others windows of 14x14.
        rows = 2 * (grid if block == 2 else 14) - 1
        for axis in "hw":
            shapes[f"{name}.attn.rel_pos_{axis}"] = (rows, width // heads)
        for norm in ("norm1", "norm2"):
            shapes |= {f"{name}.{norm}.weight": (width,), f"{name}.{norm}.bias": (width,)}
    for neck in ("neck", "neck_hd"):
        shapes |= {f"{neck}.0.weight": (16, width, 1, 1), f"{neck}.2.weight": (16, 16, 3, 3)}
        for norm in ("1", "3"):
            shapes |= {f"{neck}.{norm}.weight": (16,), f"{neck}.{norm}.bias": (16,)}
    shapes |= {"downsamples.0.weight": (24, 16, 3, 3), "downsamples.1.weight": (_TOWER, 24, 3, 3)}
    shapes["hd_alpha_downsamples"] = (1,)
    return shapes


def deepseek_vl_hybrid(folder: Path) -> None:
    """The 7B models' layout: SAM on a grid of 16x16 patches (64x64 in the real ones) and SigLIP."""
    sam = _sam_shapes(48, 16)
    shapes = {f"vision_model.vision_tower_high.vision_tower.{n}": s for n, s in sam.items()}
    shapes |= timm_shapes(
        "vision_model.vision_tower_low.vision_tower.", grid=24, patch=16, width=_TOWER
    )
    shapes |= {f"vision_model.{side}_layer_norm.weight": (1024,) for side in ("high", "low")}
    for side in ("high", "low"):
        shapes |= {
            f"aligner.{side}_up_proj.weight": (WIDTH // 2, _TOWER),
            f"aligner.{side}_up_proj.bias": (WIDTH // 2,),
        }
    shapes |= {"aligner.layers.1.weight": (WIDTH, WIDTH), "aligner.layers.1.bias": (WIDTH,)}
    aligner = {
        "depth": 2,
        "input_dim": _TOWER,
        "n_embed": WIDTH,
        "projector_type": "low_high_hybrid_split_mlp_gelu",
    }
    high = {
        "ckpt_path": "",
        "image_size": 256,
        "model_name": "sam_b_downsample",
        "output_dim": _TOWER,
        "pixel_mean": [0.48145466, 0.4578275, 0.40821073],
        "pixel_std": [0.26862954, 0.26130258, 0.27577711],
        "select_feature": "same",
        "select_layer": -1,
    }
    half = [0.5] * 3
    low = {"image_size": 384, "output_dim": _TOWER, "pixel_mean": half, "pixel_std": half}
    params = {"concat_type": "tuple", "high_res_cfg": high, "low_res_cfg": {**_SIGLIP, **low}}
    vision = {"cls": "HybridVisionTower", "params": params}
    _save(folder, 302, vision, aligner, tiny.draw_shapes(shapes, 3300))


BUILDERS: dict[str, Callable[[Path], None]] = {
    "deepseek-vl": deepseek_vl,
    "deepseek-vl-hybrid": deepseek_vl_hybrid,
}
