"""Applies a translation to tensors one at a time: memory holds one tensor at most twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from sensorium.model_adapters.engine.expected import Shape
from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.translation import Translation

__all__ = ["Translator", "head_size", "joined_shards"]


def head_size(config: Any) -> int:
    """Rows of one attention head, by a transformers configuration."""
    return int(
        getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    )


class Translator:
    """A translation of the tensors whose names start with `prefix`; `head_size` is a head's rows.

    Without a translation every tensor goes where it is said to.
    """

    def __init__(self, translation: Translation | None, prefix: str, head_size: int) -> None:
        self._translation = translation
        self._prefix = prefix
        self._head_size = head_size

    def targets(self, name: str) -> tuple[str, ...]:
        """Where a tensor goes: the names of its parts by rows; none for a computed table."""
        if self._translation is None or not name.startswith(self._prefix):
            return (name,)
        found = self._translation.targets(name.removeprefix(self._prefix))
        return tuple(self._prefix + target for target in found)

    def original(self, target: str) -> str:
        """The untranslated name of what goes to `target`."""
        if self._translation is None or not target.startswith(self._prefix):
            return target
        return self._prefix + self._translation.original(target.removeprefix(self._prefix))

    def whole_shape(self, shapes: Sequence[Shape]) -> Shape:
        """The shape that a tensor has whose parts by rows have these shapes."""
        known = [shape for shape in shapes if shape is not None]
        if len(known) < len(shapes):
            return None
        return (sum(shape[0] for shape in known), *known[0][1:])

    def translate(
        self, tensor: torch.Tensor, targets: Sequence[str], shapes: Sequence[Shape]
    ) -> Iterator[tuple[str, torch.Tensor]]:
        """The parts of a tensor that has `whole_shape(shapes)`, each under its target's name."""
        rows = [shape[0] for shape in shapes if shape is not None]
        parts = torch.split(tensor, rows) if len(targets) > 1 else [tensor]
        for target, part in zip(targets, parts, strict=True):
            yield target, self._arranged(target, part)

    def _arranged(self, target: str, tensor: torch.Tensor) -> torch.Tensor:
        if self._translation is None or not target.startswith(self._prefix):
            return tensor
        part = self._translation.part_of(target.removeprefix(self._prefix))
        if part in self._translation.interleaved:
            return _halves(tensor, self._head_size)
        if part in self._translation.unit_rows:
            return functional.normalize(tensor)
        return tensor


def _halves(tensor: torch.Tensor, head_size: int) -> torch.Tensor:
    """Rows of each head from rotary pairs side by side to first halves, then second halves."""
    pairs = tensor.unflatten(0, (-1, head_size // 2, 2))
    return pairs.transpose(1, 2).reshape(tensor.shape)


def joined_shards(
    weights: Iterable[tuple[str, torch.Tensor]],
    folder: Path,
    others: Sequence[str],
    translation: Translation,
) -> Iterator[tuple[str, torch.Tensor]]:
    """Whole tensors from the first model-parallel file's and those in the files `others`.

    The other files are mapped into memory, not read as a whole. Raises CheckpointError, naming file
    and tensor, where a file lacks a tensor or has one that the first lacks.
    """
    opened = {file: _open(folder / file) for file in others}
    seen = set()
    for name, tensor in weights:
        seen.add(name)
        shards = [tensor]
        for file, state in opened.items():
            if name not in state:
                raise CheckpointError(
                    f"{file}: tensor {name!r} is absent, which other model-parallel files hold"
                )
            shards.append(state[name])
        yield name, _joined(name, shards, translation)
    for file, state in opened.items():
        extra = sorted(state.keys() - seen)
        if extra:
            raise CheckpointError(
                f"{file}: tensor {extra[0]!r} is absent from the first model-parallel file"
            )


def _open(path: Path) -> Mapping[str, torch.Tensor]:
    try:
        state: Mapping[str, torch.Tensor] = torch.load(
            path, map_location="cpu", mmap=True, weights_only=True
        )
    except (RuntimeError, ValueError, OSError, EOFError) as error:
        raise CheckpointError(f"{path}: cannot be loaded: {error}") from error
    return state


def _joined(name: str, shards: list[torch.Tensor], translation: Translation) -> torch.Tensor:
    targets = translation.targets(name)
    axis = translation.shard_axes.get(translation.part_of(targets[0])) if targets else None
    if axis is None or len(shards) == 1:
        return shards[0]
    try:
        return torch.cat(shards, dim=axis)
    except RuntimeError:
        shapes = ", ".join(str(list(shard.shape)) for shard in shards)
        raise CheckpointError(
            f"tensor {name!r}: the model-parallel files' parts do not join: {shapes}"
        ) from None
