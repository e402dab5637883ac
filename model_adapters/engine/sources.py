"""Where a model's weights come from: the checkpoint's files, its base model's, and its tower's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from vllm.model_executor.model_loader.default_loader import DefaultModelLoader

from sensorium.model_adapters.base_model import own_name
from sensorium.model_adapters.engine.merging import (
    Named,
    TensorReader,
    add_delta,
    grow_tables,
    merge_lora,
)
from sensorium.model_adapters.engine.weights import SourcedName
from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.plan import Plan
from sensorium.model_adapters.tensor_files import scan, whole_name
from sensorium.model_adapters.weight_names import original_name, place, place_tower

__all__ = ["WeightSources", "weight_files"]

Source: TypeAlias = DefaultModelLoader.Source
# Before a tensor's name: which file it comes from.
_FILE, _BASE, _TOWER = "@file:", "@base:", "@tower:"
# Between a separate tower's module and its file.
_OF = ","
_END = "@"


class WeightSources:
    """The files of a checkpoint in reading order.

    vLLM asks for the next source when the one before has been read to its end, so whether a
    separate tower is needed is known when its turn comes.
    """

    def __init__(self, checkpoint: str, plan: Plan) -> None:
        self._checkpoint = checkpoint
        self._plan = plan
        self._files = weight_files(checkpoint, plan.spec.folders)
        self._towers = plan.parts()
        self._inside: set[str] = set()

    @property
    def first(self) -> list[str] | None:
        """The first weight file, None for a hub id."""
        return self._files[:1] or None

    def rest(self) -> Iterator[Source]:
        """The other weight files, those of a base model, and separate towers that count."""
        for file in self._files[1:]:
            yield _source(self._checkpoint, _FILE, file)
        base = self._plan.base
        if base is not None and base.kind != "delta":
            for file in weight_files(base.folder):
                yield _source(base.folder, _BASE, file)
        for part, tower in self._towers.items():
            if part not in self._inside and tower.source:
                self._require_files(part, tower.source)
                prefix = f"{_TOWER}{part}{_OF}{tower.source}{_END}"
                yield Source(tower.source, None, prefix=prefix)

    def _require_files(self, part: str, source: str) -> None:
        """Raise CheckpointError for a tower that lies neither in the checkpoint nor in its folder.

        What lies on a hub is vLLM's to find.
        """
        if Path(source).is_dir() and not scan(Path(source)).files:
            raise CheckpointError(
                f"the weight files hold no tensor `{original_name(f'{part}.', self._plan.spec)}*`, "
                f"and the tower's folder {source} has no weight file; name one with --vision-tower"
            )

    def merged(self, weights: Iterable[Named], vocabulary: int) -> Iterable[Named]:
        """What vLLM reads from the sources, with a base model's weights worked in.

        `vocabulary` is how many rows the language model's tables have.
        """
        base = self._plan.base
        if base is None:
            return weights
        if base.kind == "overlay":
            added = sum(map(len, self._plan.spec.trained_tokens.values()))
            return grow_tables(weights, vocabulary, added, lambda name: name.startswith(_BASE))
        if base.kind == "delta":
            reader = TensorReader(Path(base.folder))
            return add_delta(weights, reader, base, _plain, self._is_language_model)
        return merge_lora(weights, base, _plain, lambda name: name.startswith(_BASE))

    def locate(self, name: str) -> SourcedName:
        """Where a tensor comes from and goes."""
        kind, file, bare = _split(name)
        if kind == _TOWER:
            part, _, file = file.partition(_OF)
            return SourcedName(bare, file, place_tower(bare, self._towers[part], part))
        if not file:
            file = self._files[0] if self._files else self._checkpoint
        inner = file if self._plan.spec.folders else ""
        if kind == _BASE and self._plan.base is not None:
            file = str(Path(self._plan.base.folder) / file)
        placement = place(whole_name(own_name(bare), inner), self._plan)
        if placement is not None:
            self._inside.add(placement.target.partition(".")[0])
        return SourcedName(bare, file, placement)

    def _is_language_model(self, name: str) -> bool:
        placement = self.locate(name).placement
        return placement is not None and placement.target.startswith("language_model.")


def _source(folder: str, kind: str, file: str) -> Source:
    prefix = f"{kind}{file}{_END}"
    return Source(folder, None, prefix=prefix, allow_patterns_overrides=[file])


def _split(name: str) -> tuple[str, str, str]:
    """What kind of source a tensor comes from, its file, and its own name there."""
    for kind in (_FILE, _BASE, _TOWER):
        if name.startswith(kind):
            file, _, bare = name.removeprefix(kind).partition(_END)
            return kind, file, bare
    return "", "", name


def _plain(name: str) -> str:
    return _split(name)[2]


def weight_files(checkpoint: str, parts: tuple[str, ...] = ()) -> list[str]:
    """A folder's weight files; none for a hub id, whose files vLLM finds."""
    folder = Path(checkpoint)
    if not folder.is_dir():
        if parts:
            raise CheckpointError(
                f"{checkpoint} keeps its weights in sub-folders ({', '.join(parts)}), which are "
                "read from a folder only: fetch it and serve that"
            )
        return []
    found = scan(folder, parts)
    found.require_all()
    unsupported = [name for name in found.files if "/" in name and not parts]
    if unsupported:
        raise CheckpointError(f"{folder}: weight files in sub-folders: {', '.join(unsupported)}")
    return list(found.files)
