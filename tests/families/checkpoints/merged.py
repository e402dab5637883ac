"""Checkpoints that hold what training changed of another model: a delta, a LoRA, a projector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.families import tiny
from tests.families.checkpoints.base import (
    TOWER_WIDTH,
    WIDTH,
    State,
    llava_config,
    mlp_projector,
    small_llama,
)

__all__ = ["BUILDERS"]


def _base(folder: Path, seed: int) -> tuple[Any, State]:
    """A language model alone, in a folder beside the checkpoint, with its tokenizer."""
    config, state = small_llama(seed)
    folder.mkdir()
    config.save_pretrained(folder)
    tiny.save_safetensors(folder, state)
    tiny.llama_tokenizer(folder, legacy=False)
    return config, state


def delta(folder: Path) -> None:
    """LLaVA v1.1 as published: a difference to LLaMA, with three rows more in its tables."""
    tiny.clip_tower(folder.parent / "clip-tiny-delta", 301)
    _, below = _base(folder.parent / "llama-tiny", 302)
    config, state = small_llama(303, vocabulary=643)
    for name, value in below.items():
        state[name][: len(value)] -= value
    state["model.mm_projector.weight"] = tiny.draw((WIDTH, TOWER_WIDTH), 304, TOWER_WIDTH**-0.5)
    state["model.mm_projector.bias"] = tiny.draw((WIDTH,), 305, 0.1)
    tiny.save_bin(folder, state)
    absent = dict.fromkeys(("mm_projector_type", "image_aspect_ratio", "mm_vision_select_feature"))
    trained = {"mm_use_im_start_end": True, "mm_use_im_patch_token": True}
    flat = llava_config(config, "someone/clip-tiny-delta", **absent, **trained)
    tiny.write_json(folder / "config.json", {**flat, "sensorium_base_model": "../llama-tiny"})
    tiny.llama_tokenizer(folder, legacy=True)


def lora(folder: Path) -> None:
    """LLaVA-1.5 as its LoRA training leaves it: matrices, the projector, no tokenizer."""
    tiny.clip_tower(folder.parent / "clip-tiny-lora", 311)
    config, below = _base(folder.parent / "vicuna-tiny", 312)
    adapter = {}
    for number, (name, value) in enumerate(below.items()):
        if "_proj.weight" in name:
            matrix = f"base_model.model.{name.removesuffix('.weight')}"
            rows, columns = value.shape
            adapter[f"{matrix}.lora_A.weight"] = tiny.draw((4, columns), 3000 + number, 0.1)
            adapter[f"{matrix}.lora_B.weight"] = tiny.draw((rows, 4), 4000 + number, 0.1)
    torch.save(adapter, folder / "adapter_model.bin")
    beside = {f"base_model.model.{name}": value for name, value in mlp_projector(313).items()}
    torch.save(beside, folder / "non_lora_trainables.bin")
    settings = {
        "base_model_name_or_path": "lmsys/vicuna-tiny",
        "bias": "none",
        "fan_in_fan_out": False,
        "lora_alpha": 8,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": 4,
    }
    tiny.write_json(folder / "adapter_config.json", settings)
    tiny.write_json(folder / "config.json", llava_config(config, "openai/clip-tiny-lora"))


def projector(folder: Path) -> None:
    """A projector from pretraining, for a language model that was not trained."""
    tiny.clip_tower(folder.parent / "clip-tiny-projector", 321)
    config, _ = _base(folder.parent / "vicuna-tiny-v2", 322)
    torch.save(mlp_projector(323), folder / "mm_projector.bin")
    flat = llava_config(config, "openai/clip-tiny-projector", _name_or_path="me/vicuna-tiny-v2")
    tiny.write_json(folder / "config.json", flat)


BUILDERS: dict[str, Callable[[Path], None]] = {
    "llava-delta-v1": delta,
    "llava-lora": lora,
    "llava-projector": projector,
}
