"""Reading and writing the weights file of a checkpoint folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import torch

__all__ = ["WEIGHTS_FILE", "file_sha256", "read_weights", "write_weights"]

WEIGHTS_FILE: Final = "model.safetensors"
PREFIX: Final = "thinker."


def read_weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint in float32, under transformers' names for the thinker."""
    from safetensors.torch import load_file

    stored = load_file(checkpoint / WEIGHTS_FILE)
    return {name.removeprefix(PREFIX): tensor.float() for name, tensor in stored.items()}


def write_weights(checkpoint: Path, state: dict[str, torch.Tensor]) -> int:
    """Store a thinker's state in bfloat16 under vLLM's names; returns the number of parameters.

    The output layer is the embedding and is not stored twice.
    """
    import torch
    from safetensors.torch import save_file

    kept = {
        PREFIX + name: tensor.to(torch.bfloat16).contiguous().clone()
        for name, tensor in state.items()
        if name != "lm_head.weight"
    }
    save_file(kept, checkpoint / WEIGHTS_FILE, metadata={"format": "pt"})
    return sum(tensor.numel() for tensor in kept.values())


def file_sha256(path: Path) -> str:
    """The hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
