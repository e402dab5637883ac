"""Adds to the tensors of a base model what a checkpoint changes of them, one tensor at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch

from sensorium.model_adapters.base_model import BaseModel, lora_target
from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.tensor_files import scan

__all__ = ["Named", "TensorReader", "add_delta", "grow_tables", "merge_lora"]

Named = tuple[str, torch.Tensor]
# Vocabularies grow in training: the base model's rows are the first ones.
_TABLES = ("embed_tokens.weight", "lm_head.weight")


class TensorReader:
    """Tensors of a folder by name; files are mapped, so that only what is read takes memory."""

    def __init__(self, folder: Path) -> None:
        files = scan(folder)
        files.require_all()
        self._folder = folder
        self._places = {name: tensor.file for name, tensor in files.tensors.items()}
        self._open: dict[str, Callable[[str], torch.Tensor]] = {}
        if not files.complete:
            for file in files.files:
                self._places.update(dict.fromkeys(self._torch_file(file), file))

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def read(self, name: str) -> torch.Tensor:
        """One tensor; raises KeyError for a name that no file holds."""
        file = self._places[name]
        if file not in self._open:
            if file.endswith(".safetensors"):
                from safetensors import safe_open

                self._open[file] = safe_open(self._folder / file, "pt").get_tensor
            else:
                self._open[file] = self._torch_file(file).__getitem__
        return self._open[file](name)

    def _torch_file(self, file: str) -> dict[str, torch.Tensor]:
        path = self._folder / file
        with path.open("rb") as start:
            mapped = start.read(2) == b"PK"  # old torch files cannot be
        content: dict[str, torch.Tensor] = torch.load(
            path, map_location="cpu", weights_only=True, mmap=mapped
        )
        return content


def merge_lora(
    weights: Iterable[Named],
    model: BaseModel,
    plain: Callable[[str], str],
    of_base: Callable[[str], bool],
) -> Iterator[Named]:
    """The checkpoint's tensors that are no LoRA, then the base model's with the LoRA added.

    `of_base` tells the base model's tensors, which come after the checkpoint's; `plain` takes off a
    name what says where the tensor comes from. Raises CheckpointError where a matrix has no
    partner, fits no tensor of the base model or has another shape.
    """
    matrices: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in weights:
        if of_base(name):
            pair = matrices.pop(plain(name), None)
            yield name, tensor if pair is None else _with_lora(plain(name), tensor, pair, model)
        elif (target := lora_target(plain(name))) is not None:
            matrices.setdefault(target[0], {})[target[1]] = tensor
        else:
            yield name, tensor
    if matrices:
        raise CheckpointError(
            f"the base model {model.folder} has no tensor for {len(matrices)} of the LoRA's: "
            f"{', '.join(sorted(matrices)[:8])}"
        )


def grow_tables(
    weights: Iterable[Named], rows: int, most: int, of_base: Callable[[str], bool]
) -> Iterator[Named]:
    """The tensors, with rows of zeros where a base model's tables lack those of `most` new tokens.

    The authors' loaders draw such rows at random: tokens that no training met.
    """
    for name, tensor in weights:
        absent = rows - tensor.shape[0] if of_base(name) and name.endswith(_TABLES) else 0
        if 0 < absent <= most:
            yield name, torch.cat([tensor, tensor.new_zeros(absent, *tensor.shape[1:])])
        else:
            yield name, tensor


def _with_lora(
    name: str, tensor: torch.Tensor, pair: dict[str, torch.Tensor], model: BaseModel
) -> torch.Tensor:
    if set(pair) != {"A", "B"}:
        raise CheckpointError(f"the LoRA has only its matrix {min(pair)} for {name}")
    down, up = pair["A"].float(), pair["B"].float()
    if down.shape[0] != up.shape[1] or (up.shape[0], down.shape[1]) != tensor.shape:
        raise CheckpointError(
            f"the LoRA's matrices for {name}, {list(up.shape)} and {list(down.shape)}, do not make "
            f"{list(tensor.shape)}, which the base model {model.folder} has"
        )
    return (tensor.float() + model.scale * (up @ down)).to(tensor.dtype)


def add_delta(
    own: Iterable[Named],
    base: TensorReader,
    model: BaseModel,
    plain: Callable[[str], str],
    needs_base: Callable[[str], bool],
) -> Iterator[Named]:
    """`own` tensors with those of the base model added to them.

    `needs_base` says which names a base model must have. Raises CheckpointError for one that it
    lacks and for shapes that differ, vocabularies excepted.
    """
    for name, tensor in own:
        bare = plain(name)
        if bare not in base:
            if needs_base(name):
                raise CheckpointError(
                    f"{name} is a difference to a tensor that the base model {model.folder} "
                    "does not have"
                )
            yield name, tensor
            continue
        below = base.read(bare)
        grown = bare.endswith(_TABLES) and below.shape[0] <= tensor.shape[0]
        if below.shape[1:] != tensor.shape[1:] or not (grown or below.shape == tensor.shape):
            raise CheckpointError(
                f"{name} is a difference of shape {list(tensor.shape)}; the base model "
                f"{model.folder} has {list(below.shape)}"
            )
        whole = tensor.float()
        whole[: below.shape[0]] += below.float()
        yield name, whole.to(tensor.dtype)
