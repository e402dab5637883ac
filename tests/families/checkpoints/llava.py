"""LLaVA v1, v1.5 and a fine-tune of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from tests.families import tiny
from tests.families.checkpoints.base import (
    TOWER_WIDTH,
    WIDTH,
    llava_config,
    mlp_projector,
    small_llama,
)

__all__ = ["BUILDERS"]


def llava_v1(folder: Path) -> None:
    """LLaVA v1 (2023): a linear projector and centre crop, both said by keys that are absent."""
    tiny.clip_tower(folder.parent / "clip-tiny-v1", 1)
    config, state = small_llama(2)
    state["model.mm_projector.weight"] = tiny.draw((WIDTH, TOWER_WIDTH), 3, 1 / TOWER_WIDTH**0.5)
    state["model.mm_projector.bias"] = tiny.draw((WIDTH,), 4, 0.1)
    for layer in range(3):
        name = f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"
        state[name] = tiny.draw((16,), 5)
    tiny.save_bin(folder, state, shards=1)
    absent = dict.fromkeys(("mm_projector_type", "image_aspect_ratio", "mm_vision_select_feature"))
    tiny.write_json(folder / "config.json", llava_config(config, "someone/clip-tiny-v1", **absent))
    tiny.llama_tokenizer(folder, legacy=True)


def llava_v1_1(folder: Path) -> None:
    """LLaVA v1.1: trained tokens around an image, which the tokenizer's files do not hold."""
    tiny.clip_tower(folder.parent / "clip-tiny-v1-1", 6)
    config, state = small_llama(7, vocabulary=643)
    state["model.mm_projector.weight"] = tiny.draw((WIDTH, TOWER_WIDTH), 8, 1 / TOWER_WIDTH**0.5)
    state["model.mm_projector.bias"] = tiny.draw((WIDTH,), 9, 0.1)
    tiny.save_bin(folder, state, shards=1)
    absent = dict.fromkeys(("mm_projector_type", "image_aspect_ratio", "mm_vision_select_feature"))
    trained = {"mm_use_im_start_end": True, "mm_use_im_patch_token": True}
    flat = llava_config(config, "someone/clip-tiny-v1-1", **absent, **trained)
    tiny.write_json(folder / "config.json", flat)
    tiny.llama_tokenizer(folder, legacy=True)


def llava_v15(folder: Path) -> None:
    """LLaVA-1.5: the tower in its own repository, the projector written a second time."""
    tiny.clip_tower(folder.parent / "clip-tiny-v15", 11)
    config, state = small_llama(12)
    projector = mlp_projector(13)
    tiny.save_bin(folder, {**state, **projector})
    torch.save(projector, folder / "mm_projector.bin")
    tiny.write_json(folder / "config.json", llava_config(config, "openai/clip-tiny-v15"))
    tiny.llama_tokenizer(folder, legacy=False)


def llava_inside(folder: Path) -> None:
    """A fine-tune with a trained tower in the checkpoint; of the tower's folder only the config."""
    vision = tiny.clip_tower(folder / "clip-tiny-inside", 21)
    (folder / "clip-tiny-inside" / "pytorch_model.bin").unlink()
    config, state = small_llama(22, key_value_heads=2)
    tiny.save_safetensors(folder, {**state, **mlp_projector(23), **tiny.image_tensors(vision)})
    flat = llava_config(config, "/home/trainer/clip-tiny-inside", model_type="llava_llama")
    flat["architectures"] = ["SomeonesLlamaForCausalLM"]
    tiny.write_json(folder / "config.json", flat)
    tiny.llama_tokenizer(folder, legacy=False)


BUILDERS: dict[str, Callable[[Path], None]] = {
    "llava-v1": llava_v1,
    "llava-v1.1": llava_v1_1,
    "llava-v1.5": llava_v15,
    "llava-inside": llava_inside,
}
