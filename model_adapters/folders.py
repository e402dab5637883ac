"""Folders that a user names beside a checkpoint, and files of JSON in them.

The server's options of the same names set these variables, so that every process of an engine, and
vLLM's own server, read the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sensorium.model_adapters.errors import CheckpointError

__all__ = ["BASE_MODEL", "VISION_TOWER", "named_folders", "read_json"]

# Each holds FOLDER, NAME=FOLDER, CHECKPOINT:NAME=FOLDER, or several of these with commas.
VISION_TOWER = "SENSORIUM_VISION_TOWER"
BASE_MODEL = "SENSORIUM_BASE_MODEL"


def named_folders(variable: str, names: Iterable[str], *, bare: bool = True) -> list[Path]:
    """The folders that `variable` gives for one of `names` (or, where `bare`, for no name).

    A name also stands for its last part, `clip-vit` for `openai/clip-vit`. The variable's last word
    comes first. Raises CheckpointError for a folder that holds no config.json.
    """
    known = {part for name in names for part in (name, Path(name).name)}
    found: list[Path] = []
    for entry in filter(None, map(str.strip, os.environ.get(variable, "").split(","))):
        name, separator, folder = entry.rpartition("=")
        named = name in known or {*name.rpartition(":")[::2]} <= known
        if (separator and named) or (bare and not separator):
            path = Path(folder).expanduser().absolute()
            if not (path / "config.json").is_file():
                raise CheckpointError(f"{variable} names {folder}, which has no config.json")
            found.insert(0, path)
    return found


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; raises CheckpointError for a file that holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds {type(content).__name__}, not an object")
    return content
