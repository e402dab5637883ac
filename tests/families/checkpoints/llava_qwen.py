"""LlavaQwenForCausalLM: LLaVA-NeXT, Interleave, OneVision and LLaVA-Video on Qwen.

Towers see 70 pixels, five patches along an edge, so that pooling two to one has a remainder.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.families import tiny
from tests.families.checkpoints.base import (
    WIDTH,
    State,
    llava_config,
    mlp_projector,
    trained_tower,
)
from tests.families.tokenizers import chatml_tokenizer

__all__ = ["BUILDERS"]

_EDGE = 70
_ANYRES = [[_EDGE * wide, _EDGE * high] for wide, high in ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3))]
_ANYRES_MAX = [[_EDGE * wide, _EDGE * high] for wide in (1, 2, 3) for high in (1, 2, 3)]


def _qwen(seed: int, *, tied: bool) -> tuple[Any, State]:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=704,
        hidden_size=WIDTH,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=tied,
    )
    state = tiny.draw_weights(Qwen2ForCausalLM(config), seed)
    if tied:
        # Read with two names for one tensor, published with one.
        del state["lm_head.weight"]
    return config, state


def _checkpoint(
    folder: Path, seed: int, changes: dict[str, Any], *, tied: bool = False, clip: bool = False
) -> None:
    kind = "clip" if clip else "siglip"
    tower = folder.parent / f"{kind}-tiny-{folder.name}"
    vision = (
        tiny.clip_tower(tower, seed, image_size=_EDGE)
        if clip
        else tiny.siglip_tower(tower, seed, image_size=_EDGE)
    )
    config, state = _qwen(seed + 1, tied=tied)
    state = {**state, **mlp_projector(seed + 2), "model.image_newline": tiny.draw((WIDTH,), seed)}
    if "mm_vision_tower" in str(changes.get("mm_tunable_parts")):
        # The authors delete SigLIP's last layer and its head before they train.
        trained = {
            name: value
            for name, value in trained_tower(vision, seed).items()
            if clip or not any(part in name for part in (".head.", "layers.2.", "post_layernorm"))
        }
        state |= tiny.image_tensors(trained)
    tiny.save_safetensors(folder, state)
    tiny_tokenizer = chatml_tokenizer(folder)
    flat = llava_config(config, f"google/{tower.name}", pad_token_id=None)
    flat.update(
        architectures=["LlavaQwenForCausalLM"],
        model_type="llava_qwen",
        bos_token_id=0,
        eos_token_id=tiny_tokenizer.token_to_id("<|im_end|>"),
        mm_patch_merge_type="spatial_unpad",
        rms_norm_eps=1e-6,
        rope_theta=1000000.0,
        tie_word_embeddings=tied,
    )
    tiny.write_json(folder / "config.json", {**flat, **changes})


_TUNED = {"mm_tunable_parts": "mm_vision_tower,mm_mlp_adapter,mm_language_model"}
_ONEVISION = {
    **_TUNED,
    "image_aspect_ratio": "anyres_max_4",
    "image_grid_pinpoints": _ANYRES_MAX,
    "mm_spatial_pool_mode": "bilinear",
    "mm_vision_select_layer": -2,
}


def llava_onevision(folder: Path) -> None:
    """OneVision, its embeddings tied as in 0.5b."""
    _checkpoint(folder, 201, _ONEVISION, tied=True)


def llava_video(folder: Path) -> None:
    """LLaVA-Video: a newline after each row of a frame, times told."""
    changes = {
        **_ONEVISION,
        "add_faster_video": False,
        "add_time_instruction": True,
        "force_sample": True,
        "mm_newline_position": "grid",
        "mm_spatial_pool_mode": "average",
    }
    _checkpoint(folder, 211, changes)


def llava_interleave(folder: Path) -> None:
    """Interleave: the tower in its own repository."""
    tunable = "mm_mlp_adapter,mm_language_model"
    changes = {"image_aspect_ratio": "anyres", "image_grid_pinpoints": _ANYRES}
    _checkpoint(folder, 221, {**changes, "mm_tunable_parts": tunable})


def llava_next_qwen(folder: Path) -> None:
    """LLaVA-NeXT on Qwen1.5, with CLIP."""
    changes = {"image_aspect_ratio": "anyres", "image_grid_pinpoints": _ANYRES, **_TUNED}
    _checkpoint(folder, 231, changes, clip=True)


BUILDERS: dict[str, Callable[[Path], None]] = {
    "llava-onevision": llava_onevision,
    "llava-video": llava_video,
    "llava-interleave": llava_interleave,
    "llava-next-qwen": llava_next_qwen,
}
