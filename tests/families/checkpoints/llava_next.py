"""LLaVA-1.6."""

from __future__ import annotations

import functools
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
from tests.families.tokenizers import llama_3_tokenizer, yi_tokenizer

__all__ = ["BUILDERS"]


def _next(
    folder: Path,
    seed: int,
    config: Any,
    state: State,
    tokenizer: Callable[[Path], Any] | None = None,
    **changes: Any,
) -> None:
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
    tiny.write_json(folder / "config.json", {**flat, **changes})
    (tokenizer or functools.partial(tiny.llama_tokenizer, legacy=False))(folder)


def llava_next_34b(folder: Path) -> None:
    """LLaVA-1.6 on Yi: the vocabulary of 64,000 tells it, its tokenizer is sentencepiece's."""
    config, state = small_llama(102, key_value_heads=2, vocabulary=64000)
    changes = {"vocab_size": 64000, "eos_token_id": 4, "rope_theta": 5000000.0}
    _next(folder, 101, config, state, yi_tokenizer, **changes)


def llava_next_llama3(folder: Path) -> None:
    """LLaVA-NeXT on Llama-3."""
    config, state = small_llama(112, key_value_heads=2, vocabulary=128256)
    changes = {"bos_token_id": 0, "eos_token_id": 1, "rope_theta": 500000.0}
    changes = {**changes, "vocab_size": 128256, "model_type": "llava_llama"}
    _next(folder, 111, config, state, llama_3_tokenizer, **changes)


def llava_next_video(folder: Path) -> None:
    """LLaVA-NeXT-Video on Vicuna: training wrote how frames are pooled."""
    config, state = small_llama(122)
    changes = {
        "mm_resampler_type": "spatial_pool",
        "mm_spatial_pool_mode": "average",
        "mm_spatial_pool_out_channels": 64,
        "mm_spatial_pool_stride": 2,
    }
    _next(folder, 121, config, state, **changes)


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
    "llava-next-34b": llava_next_34b,
    "llava-next-llama3": llava_next_llama3,
    "llava-next-video": llava_next_video,
}
