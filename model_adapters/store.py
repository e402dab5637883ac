"""The user's model folder: where it is, and how a model gets into it whole or not at all.

    $SENSORIUM_HOME, else $XDG_CACHE_HOME/sensorium, else ~/.cache/sensorium
    └── models
        ├── <name>            a checkpoint, with `sensorium.json` as the list of its files
        ├── .<name>.lock      held by the process that writes <name>
        ├── .<name>.download  what that process has downloaded
        └── .<name>.partial   what it has written so far

A model is written beside its place and renamed into it, so a reader sees the whole of it or
nothing. What an interrupted process leaves behind is swept away by the next one.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "MANIFEST",
    "Write",
    "home",
    "install",
    "is_whole",
    "locked",
    "models_directory",
    "scratch",
]

MANIFEST = "sensorium.json"

# Fills the empty folder it is given with a model's files.
Write = Callable[[Path], None]


def home() -> Path:
    """Where Sensorium keeps what it downloads."""
    if own := os.environ.get("SENSORIUM_HOME"):
        return Path(own).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "sensorium"


def models_directory() -> Path:
    """Where models that were pulled live, one folder each."""
    return home() / "models"


def is_whole(folder: Path) -> bool:
    """Whether `folder` has a manifest, and every file in it at its full size."""
    try:
        files = json.loads((folder / MANIFEST).read_text("utf-8"))["files"]
        return all((folder / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


@contextmanager
def locked(name: str, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of the model `name`; call `waiting` once if another process has it."""
    directory = models_directory()
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / f".{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """An empty folder for the download of `name`, removed afterwards; the lock must be held.

    It lies with the models because /tmp can be small, or held in memory.
    """
    directory = models_directory() / f".{name}.download"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def install(name: str, provenance: Mapping[str, str], write: Write) -> Path:
    """Put the model `name` in its place, replacing what is there; the lock must be held.

    `write` fills the empty folder it is given; `provenance` goes into the manifest. When `write`
    raises, what was there before is untouched.
    """
    directory = models_directory()
    place, partial, old = (
        directory / pattern.format(name) for pattern in ("{}", ".{}.partial", ".{}.old")
    )
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    try:
        write(partial)
        files = {
            str(path.relative_to(partial)): path.stat().st_size
            for path in sorted(partial.rglob("*"))
            if path.is_file()
        }
        manifest = {"name": name, "provenance": dict(provenance), "files": files}
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
        if place.exists():
            place.rename(old)
        partial.rename(place)
    finally:
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)
    return place
