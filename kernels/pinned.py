"""Configurations measured on a device, one JSON file each; `benchmarks/kernels` writes them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sensorium.kernels.selection import Pinned

__all__ = ["FOLDER_VARIABLE", "file_name", "read_all", "read_pinned", "write_pinned"]

FOLDER_VARIABLE = "SENSORIUM_KERNEL_CONFIGS"
_PACKAGED = Path(__file__).with_name("configs")


def file_name(device: str) -> str:
    """The name of the file for a device, as `NVIDIA_H100_80GB_HBM3.json`."""
    return re.sub(r"[^A-Za-z0-9]+", "_", device).strip("_") + ".json"


def read_pinned(device: str) -> tuple[Pinned, ...]:
    """What was measured on the device; empty for one that never was.

    The folder named by `SENSORIUM_KERNEL_CONFIGS` goes before the files that come with the package.
    Raises ValueError for a file that does not hold what `write_pinned` writes.
    """
    folders = [Path(folder) for folder in filter(None, [os.environ.get(FOLDER_VARIABLE)])]
    for folder in [*folders, _PACKAGED]:
        path = folder / file_name(device)
        if path.is_file():
            return _parse(path)
    return ()


def read_all() -> tuple[Pinned, ...]:
    """Everything that comes with the package, for every device."""
    return tuple(entry for path in sorted(_PACKAGED.glob("*.json")) for entry in _parse(path))


def _parse(path: Path) -> tuple[Pinned, ...]:
    try:
        entries = json.loads(path.read_text())["entries"]
        return tuple(Pinned(**{**entry, "sizes": tuple(entry["sizes"])}) for entry in entries)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} holds no kernel configurations ({error}); "
            "write it again with `python -m sensorium.benchmarks.kernels --pin`"
        ) from None


def write_pinned(
    folder: Path, device: str, entries: Iterable[Pinned], measured: Mapping[str, Any]
) -> Path:
    """Write the device's file; `measured` says with which versions and which command."""
    path = folder / file_name(device)
    content = {"device": device, **measured, "entries": [asdict(entry) for entry in entries]}
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path
