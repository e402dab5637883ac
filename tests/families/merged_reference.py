"""Whole checkpoints made of a base model and what was published over it, as LLaVA's scripts do.

Sources: haotian-liu/LLaVA, llava/model/apply_delta.py and llava/model/builder.py; peft's
`merge_and_unload` for what a LoRA adds. Nothing of `sensorium` is imported here.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file

__all__ = ["applied_delta", "merged_lora", "with_projector"]

State = dict[str, torch.Tensor]


def applied_delta(delta: Path, base: Path) -> Path:
    """`apply_delta`: parameters of both are added, the base's rows to the first rows."""
    below = load_file(base / "model.safetensors")
    state: State = {}
    for file in sorted(delta.glob("pytorch_model*.bin")):
        state.update(torch.load(file, weights_only=True))
    for name, value in state.items():
        if name in below:
            rows, *_ = below[name].shape
            value[:rows] += below[name]
    return _whole(delta, state, delta)


def merged_lora(adapter: Path, base: Path) -> Path:
    """`load_pretrained_model` with a base: non-LoRA tensors, then `W + B A alpha / r`."""
    state = load_file(base / "model.safetensors")
    for name, value in torch.load(adapter / "non_lora_trainables.bin", weights_only=True).items():
        state[name.removeprefix("base_model.model.")] = value
    settings = json.loads((adapter / "adapter_config.json").read_text())
    scale = settings["lora_alpha"] / settings["r"]
    matrices = torch.load(adapter / "adapter_model.bin", weights_only=True)
    for name in list(state):
        down = f"base_model.model.{name.removesuffix('.weight')}.lora_A.weight"
        if down in matrices:
            up = matrices[down.replace("lora_A", "lora_B")]
            state[name] = state[name] + scale * up @ matrices[down]
    return _whole(adapter, state, base)


def with_projector(projector: Path, base: Path) -> Path:
    """`load_pretrained_model` with a base and a projector only."""
    state = load_file(base / "model.safetensors")
    state.update(torch.load(projector / "mm_projector.bin", weights_only=True))
    return _whole(projector, state, base)


def _whole(checkpoint: Path, state: State, tokenizer: Path) -> Path:
    folder = checkpoint.with_name(f"{checkpoint.name}-whole")
    folder.mkdir(exist_ok=True)
    torch.save(state, folder / "pytorch_model.bin")
    shutil.copy(checkpoint / "config.json", folder)
    for file in ("tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(tokenizer / file, folder)
    return folder
