"""LLaVA-1.6."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.families import tiny
from tests.families.checkpoints.base import (
    WIDTH,
    State,
    llava_config,
    mlp_projector,
    small_llama,
    trained_tower,
)

__all__ = ["BUILDERS"]


def _next(folder: Path, seed: int, config: Any, state: State, **changes: Any) -> None:
    """LLaVA-1.6's parts: the tower inside, the newline vector, tiles of 56 pixels."""
    vision = tiny.clip_tower(folder.parent / f"clip-tiny-{folder.name}", seed)
    state = {**state, **mlp_projector(seed + 1), **tiny.image_tensors(trained_tower(vision, seed))}
    state["model.image_newline"] = tiny.draw((WIDTH,), seed + 9)
    tiny.save_safetensors(folder, state)
    flat = llava_config(config, f"openai/clip-tiny-{folder.name}", **changes)
    flat.update(
        image_aspect_ratio="anyres",
        image_grid_pinpoints=[[56, 112], [112, 56], [112, 112], [168, 56], [56, 168]],
        image_crop_resolution=224,
        mm_patch_merge_type="spatial_unpad",
        tokenizer_model_max_length=4096,
        unfreeze_mm_vision_tower=True,
    )
    tiny.write_json(folder / "config.json", flat)
    tiny.llama_tokenizer(folder, legacy=False)


def llava_next(folder: Path) -> None:
    """LLaVA-1.6 on Vicuna."""
    config, state = small_llama(82)
    _next(folder, 81, config, state)


def llava_next_mistral(folder: Path) -> None:
    """LLaVA-1.6 on Mistral."""
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(
        vocab_size=640,
        hidden_size=WIDTH,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        rms_norm_eps=1e-5,
        sliding_window=None,
        tie_word_embeddings=False,
    )
    state = tiny.draw_weights(MistralForCausalLM(config), 92)
    changes = {"model_type": "llava_mistral", "rope_theta": 1000000.0}
    _next(folder, 91, config, state, architectures=["LlavaMistralForCausalLM"], **changes)
    raw = json.loads((folder / "config.json").read_text())
    tiny.write_json(folder / "config.json", {**raw, "sliding_window": None})


BUILDERS: dict[str, Callable[[Path], None]] = {
    "llava-next": llava_next,
    "llava-next-mistral": llava_next_mistral,
}
