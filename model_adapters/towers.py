"""Vision towers: their kinds, the published ones by name, and where a checkpoint's own one lies."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.spec import RawConfig

__all__ = [
    "KINDS",
    "OVERRIDE",
    "TowerKind",
    "TowerPlace",
    "find_tower",
    "known_tower",
    "token_grid",
]

# A folder, or pairs NAME=FOLDER separated as in PATH, that stand in for `mm_vision_tower`.
OVERRIDE = "SENSORIUM_VISION_TOWER"


@dataclass(frozen=True)
class TowerKind:
    """What towers of one kind share: tokens before the patches, and how they see an image.

    `resize` is "shortest" (shorter edge to size, then centre crop) or "squash" (both edges to
    size). `mean` and `std` are per channel of pixels scaled to 0..1. `defaults` are what published
    configs leave out: the defaults of transformers' config class.
    """

    name: str
    has_class_token: bool
    resize: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    defaults: Mapping[str, int]


_BASE = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
}

KINDS: dict[str, TowerKind] = {
    "clip": TowerKind(
        "clip",
        has_class_token=True,
        resize="shortest",
        mean=(0.48145466, 0.4578275, 0.40821073),
        std=(0.26862954, 0.26130258, 0.27577711),
        defaults={**_BASE, "patch_size": 32},
    ),
    "siglip": TowerKind(
        "siglip",
        has_class_token=False,
        resize="squash",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        defaults={**_BASE, "patch_size": 16},
    ),
}


def _clip_large(image_size: int) -> dict[str, Any]:
    return {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": image_size,
        "patch_size": 14,
        "projection_dim": 768,
    }


# So that a checkpoint with its tower inside starts where the tower's own repository is not at hand.
# From those repositories' config.json.
_KNOWN: dict[str, tuple[str, dict[str, Any]]] = {
    "clip-vit-large-patch14-336": ("clip", _clip_large(336)),
    "clip-vit-large-patch14": ("clip", _clip_large(224)),
    "siglip-so400m-patch14-384": (
        "siglip",
        {
            "hidden_size": 1152,
            "intermediate_size": 4304,
            "num_hidden_layers": 27,
            "num_attention_heads": 16,
            "image_size": 384,
            "patch_size": 14,
        },
    ),
}


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


def known_tower(name: str) -> tuple[str, dict[str, Any]] | None:
    """Kind and vision config of a published tower, by the last part of its name; None if unknown.

    Training scripts write their own absolute paths into configs, so only the last part counts.
    """
    return _KNOWN.get(name.rstrip("/").rsplit("/", 1)[-1])


def find_tower(name: str, checkpoint: Path | None, kinds: tuple[str, ...]) -> TowerPlace:
    """Find the tower that a config names; raises CheckpointError when there is no trace of it.

    Looked at in this order: the override, a sub-folder of the checkpoint, the path itself, a folder
    of that name beside the checkpoint, the table of published towers.
    """
    for folder in _candidates(name, checkpoint):
        if (folder / "config.json").is_file():
            return _from_folder(name, folder, kinds)
    known = known_tower(name)
    if known is not None:
        kind, config = known
        _check_kind(name, kind, kinds)
        return TowerPlace(name, kind, config, source=_hub_id(name, kind))
    raise CheckpointError(
        f"the vision tower {name!r} (config key `mm_vision_tower`) is not a folder in or beside "
        f"the checkpoint and no tower that is known ({', '.join(sorted(_KNOWN))}); put its folder "
        f"there, or set {OVERRIDE} to it"
    )


def token_grid(config: Mapping[str, Any]) -> int:
    """Patches along one edge of a tower's square image."""
    return int(config["image_size"]) // int(config["patch_size"])


def _candidates(name: str, checkpoint: Path | None) -> list[Path]:
    base = name.rstrip("/").rsplit("/", 1)[-1]
    found = [Path(folder) for folder in _overrides(name, base)]
    if checkpoint is not None:
        found += [checkpoint / name.lstrip("/"), checkpoint / base, checkpoint / "vision_tower"]
    found.append(Path(name))
    if checkpoint is not None:
        found.append(checkpoint.resolve().parent / base)
    return found


def _overrides(name: str, base: str) -> list[str]:
    found = []
    for part in filter(None, os.environ.get(OVERRIDE, "").split(os.pathsep)):
        key, separator, folder = part.rpartition("=")
        if not separator or key in (name, base):
            if not (Path(folder) / "config.json").is_file():
                raise CheckpointError(f"{OVERRIDE} names {folder}, which has no config.json")
            found.append(folder)
    return found


def _from_folder(name: str, folder: Path, kinds: tuple[str, ...]) -> TowerPlace:
    raw = _read_json(folder / "config.json")
    model_type = str(raw.get("model_type", ""))
    kind = next((kind for kind in KINDS if model_type.startswith(kind)), model_type)
    _check_kind(str(folder), kind, kinds)
    config = {**KINDS[kind].defaults, **(raw.get("vision_config") or raw)}
    preprocessing = folder / "preprocessor_config.json"
    return TowerPlace(
        name,
        kind,
        config,
        source=str(folder),
        folder=folder,
        preprocessing=_read_json(preprocessing) if preprocessing.is_file() else {},
    )


def _check_kind(where: str, kind: str, kinds: tuple[str, ...]) -> None:
    if kind not in kinds:
        raise CheckpointError(
            f"the vision tower {where} is of kind {kind!r}; this family takes {', '.join(kinds)}"
        )


def _hub_id(name: str, kind: str) -> str:
    base = name.rstrip("/").rsplit("/", 1)[-1]
    owner = {"clip": "openai", "siglip": "google"}[kind]
    return f"{owner}/{base}"


def _read_json(path: Path) -> RawConfig:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds {type(content).__name__}, not an object")
    return content
