"""Qwen-VL-Chat."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.families import legacy_checkpoints, legacy_tokenizers, tiny

__all__ = ["BUILDERS"]

_TOWER = 64


def _visual(out: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "conv1.weight": (_TOWER, 3, 14, 14),
        "positional_embedding": (256, _TOWER),
        "proj": (out, out),
        "attn_pool.query": (256, out),
        "attn_pool.pos_embed": (256, out),
        "attn_pool.kv_proj.weight": (out, _TOWER),
        "attn_pool.attn.in_proj_weight": (3 * out, out),
        "attn_pool.attn.in_proj_bias": (3 * out,),
        "attn_pool.attn.out_proj.weight": (out, out),
        "attn_pool.attn.out_proj.bias": (out,),
    }
    norms = {"ln_pre": _TOWER, "ln_post": out, "attn_pool.ln_q": out, "attn_pool.ln_kv": out}
    for layer in range(2):
        name = f"transformer.resblocks.{layer}"
        linears = {
            "attn.in_proj": (3 * _TOWER, _TOWER),
            "attn.out_proj": (_TOWER, _TOWER),
            "mlp.c_fc": (96, _TOWER),
            "mlp.c_proj": (_TOWER, 96),
        }
        for part, shape in linears.items():
            shapes |= {f"{name}.{part}.weight": shape, f"{name}.{part}.bias": shape[:1]}
        norms |= {f"{name}.ln_1": _TOWER, f"{name}.ln_2": _TOWER}
    for name, width in norms.items():
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    return {f"transformer.visual.{name}": shape for name, shape in shapes.items()}


def qwen_vl(folder: Path) -> None:
    """256 tokens a picture of 16 patches."""
    config = legacy_checkpoints.qwen_config(seq_length=4096)
    visual = tiny.draw_shapes(_visual(config["hidden_size"]), 7100)
    tiny.save_bin(folder, {**legacy_checkpoints.qwen_state(7000), **visual})
    config["visual"] = {
        "heads": 2,
        "image_size": 56,
        "image_start_id": 770,
        "layers": 2,
        "mlp_ratio": 1.5,
        "output_dim": config["hidden_size"],
        "patch_size": 14,
        "width": _TOWER,
    }
    tiny.write_json(folder / "config.json", config)
    tiny.write_json(
        folder / "generation_config.json",
        {"chat_format": "chatml", "eos_token_id": 556, "pad_token_id": 556},
    )
    legacy_tokenizers.qwen_tiktoken(folder)


BUILDERS: dict[str, Callable[[Path], None]] = {"qwen-vl-chat": qwen_vl}
