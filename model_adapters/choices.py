"""What users choose by name for a checkpoint, where its files do not say it.

The server's options of the same names set these variables, so that every process of an engine, and
vLLM's own server, read the same.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from sensorium.model_adapters.registry import FAMILY_KEY
from sensorium.model_adapters.spec import RawConfig

__all__ = ["CONVERSATION", "FAMILY", "checkpoint_name", "choice", "with_family"]

# Each holds a name, CHECKPOINT=NAME for one checkpoint, or several of these with commas.
CONVERSATION = "SENSORIUM_CONVERSATION"
FAMILY = "SENSORIUM_FAMILY"
_CACHED = re.compile(r"models--(?:[^/]+?--)?([^/]+)/snapshots/")


def checkpoint_name(path: str) -> str:
    """The last part of a hub id or of a folder, also for a folder of the hub's cache."""
    cached = _CACHED.search(path)
    return cached[1] if cached is not None else Path(path).name


def choice(variable: str, path: str) -> str | None:
    """What `variable` says for the checkpoint at `path`, the last word counting; None: nothing."""
    known, found = {checkpoint_name(path), path, str(Path(path))}, None
    for entry in filter(None, map(str.strip, os.environ.get(variable, "").split(","))):
        checkpoint, separator, value = entry.rpartition("=")
        if not separator or checkpoint in known:
            found = value
    return found


def with_family(raw: RawConfig, path: str) -> RawConfig:
    """The config with the family that a user chose for its checkpoint, if one was chosen."""
    family = choice(FAMILY, path)
    return raw if family is None else {**raw, FAMILY_KEY: family}
