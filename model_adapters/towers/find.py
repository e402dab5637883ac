"""Where a checkpoint's vision tower lies, and how large it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.folders import VISION_TOWER, named_folders, read_json
from sensorium.model_adapters.spec import RawConfig, Tower
from sensorium.model_adapters.tensor_files import scan
from sensorium.model_adapters.towers import KINDS
from sensorium.model_adapters.towers.published import OWNERS, PUBLISHED, published_tower

__all__ = ["TowerPlace", "find_tower", "measured", "token_grid"]

_SMALLEST = 256


@dataclass(frozen=True)
class TowerPlace:
    """A tower that was found: its kind, its vision config and where its weights would be.

    `source` is a folder or a hub id that may hold the weights; `folder` is set when it is a folder.
    `preprocessing` is the folder's preprocessor_config.json, empty where there is none.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    source: str
    folder: Path | None = None
    preprocessing: Mapping[str, Any] = field(default_factory=dict)


def find_tower(raw: RawConfig, checkpoint: Path | None, kept: Tower) -> TowerPlace:
    """Find the tower that a config names; raises CheckpointError when there is no trace of it.

    Looked at in this order: the config's own `mm_vision_config`, the folder that the user names for
    the tower or for the checkpoint (`--vision-tower`), a sub-folder of the checkpoint, the path
    itself, a folder of that name beside the checkpoint, the table of published towers.
    """
    found = _find(raw, checkpoint, kept.key, kept.kinds)
    size = int(raw.get("mm_vision_resolution") or 0)
    # The authors' code takes no notice of smaller ones.
    if KINDS[found.kind].any_size and size > _SMALLEST:
        return replace(found, config={**found.config, "image_size": size})
    return found


def _find(raw: RawConfig, checkpoint: Path | None, key: str, kinds: tuple[str, ...]) -> TowerPlace:
    if "mm_vision_config" in raw:
        return _from_config(raw["mm_vision_config"], kinds)
    name = str(raw[key])
    for folder in _candidates(name, checkpoint):
        if (folder / "config.json").is_file():
            return _from_folder(name, folder, kinds)
    known = published_tower(name)
    if known is not None:
        kind, config = known
        _check_kind(name, kind, kinds)
        config = {**KINDS[kind].defaults, **config}
        return TowerPlace(name, kind, config, source=_hub_id(name, kind))
    raise CheckpointError(
        f"the vision tower {name!r} (config key `{key}`) is not a folder in or beside "
        f"the checkpoint and no tower that is known ({', '.join(sorted(PUBLISHED))}); put its "
        "folder there, or name it with --vision-tower"
    )


def measured(tower: TowerPlace, prefixes: tuple[str, ...], checkpoint: Path | None) -> TowerPlace:
    """The tower with sizes as the checkpoint's tensors have them, where its kind asks for that.

    `prefixes` are what its tensors' names begin with there. A checkpoint that is not at hand leaves
    the sizes as they are published.
    """
    measure = KINDS[tower.kind].measure
    if measure is None or checkpoint is None:
        return tower
    shapes = {}
    for name, stored in scan(checkpoint).tensors.items():
        prefix = next(filter(name.startswith, prefixes), None)
        if prefix is not None and stored.shape is not None:
            shapes[name.removeprefix(prefix)] = stored.shape
    return replace(tower, config=measure(tower.config, shapes))


def token_grid(config: Mapping[str, Any]) -> int:
    """Features along one edge of a tower's square image: its patches, or the config's `grid`."""
    if "grid" in config:
        return int(config["grid"])
    # Each stage of a convolutional tower but the first halves the grid.
    patch = int(config["patch_size"]) << (len(config.get("depths") or [0]) - 1)
    return int(config["image_size"]) // patch


def _candidates(name: str, checkpoint: Path | None) -> list[Path]:
    base = name.rstrip("/").rsplit("/", 1)[-1]
    names = [name.rstrip("/")] if checkpoint is None else [name.rstrip("/"), str(checkpoint)]
    found = named_folders(VISION_TOWER, names)
    if checkpoint is not None:
        found += [checkpoint / name.lstrip("/"), checkpoint / base, checkpoint / "vision_tower"]
    found.append(Path(name))
    if checkpoint is not None:
        found.append(checkpoint.resolve().parent / base)
    return found


def _from_folder(name: str, folder: Path, kinds: tuple[str, ...]) -> TowerPlace:
    raw = read_json(folder / "config.json")
    model_type = str(raw.get("model_type", ""))
    kind = next((kind for kind in KINDS if f"{model_type}_".startswith(f"{kind}_")), model_type)
    _check_kind(str(folder), kind, kinds)
    config = {**KINDS[kind].defaults, **(raw.get("vision_config") or raw)}
    preprocessing = folder / "preprocessor_config.json"
    return TowerPlace(
        name,
        kind,
        config,
        source=str(folder),
        folder=folder,
        preprocessing=read_json(preprocessing) if preprocessing.is_file() else {},
    )


def _from_config(config: Mapping[str, Any], kinds: tuple[str, ...]) -> TowerPlace:
    kind = str(config["kind"])
    _check_kind("in the config", kind, kinds)
    fields = {key: value for key, value in config.items() if key != "kind"}
    return TowerPlace(kind, kind, {**KINDS[kind].defaults, **fields}, source="")


def _check_kind(where: str, kind: str, kinds: tuple[str, ...]) -> None:
    if kind not in kinds:
        raise CheckpointError(
            f"the vision tower {where} is of kind {kind!r}; this family takes {', '.join(kinds)}"
        )


def _hub_id(name: str, kind: str) -> str:
    base = name.rstrip("/").rsplit("/", 1)[-1]
    return f"{OWNERS.get(base, KINDS[kind].owner)}/{base}"
