"""Prompts and media that people bring: a text file, folders with pictures, sounds and videos."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from sensorium.benchmarks.workload.media import MediaFile
from sensorium.serving.errors import UserError

__all__ = ["list_media", "load_media", "read_prompts"]

_SUFFIXES = {
    "image": {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp", "gif": "gif"},
    "audio": {"wav": "wav", "mp3": "mpeg", "flac": "flac", "ogg": "ogg", "m4a": "mp4"},
    "video": {"mp4": "mp4", "webm": "webm", "mkv": "x-matroska", "mov": "quicktime"},
}
_KINDS = {
    suffix: (kind, subtype)
    for kind, known in _SUFFIXES.items()
    for suffix, subtype in known.items()
}


def read_prompts(path: Path) -> tuple[str, ...]:
    """Prompts, one a line; in a `.jsonl` file each line is a string or has `prompt` or `text`."""
    try:
        lines = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--prompts {path}: {error}") from None
    prompts = tuple(_prompt(line, path) for line in lines) if path.suffix == ".jsonl" else lines
    if not prompts:
        raise UserError(f"--prompts {path}: there is no line in it")
    return tuple(prompts)


def _prompt(line: str, path: Path) -> str:
    try:
        row = json.loads(line)
    except ValueError:
        raise UserError(f"--prompts {path}: not JSON: {line[:60]}") from None
    if isinstance(row, dict):
        row = row.get("prompt", row.get("text"))
    if not isinstance(row, str):
        raise UserError(f'--prompts {path}: a row must be a string or have "prompt": {line[:60]}')
    return row


def list_media(folders: Iterable[Path]) -> tuple[Path, ...]:
    """Every picture, sound and video below the folders, by suffix, in order of path."""
    found = []
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"--media {folder}: no such folder")
        found += sorted(p for p in folder.rglob("*") if p.suffix[1:].lower() in _KINDS)
    if not found:
        known = ", ".join(sorted(_KINDS))
        raise UserError(f"--media: no medium in the folders; suffixes known: {known}")
    return tuple(found)


def load_media(path: Path) -> MediaFile:
    """A file with its size: megapixels, seconds or frames. UserError where it cannot be read."""
    kind, subtype = _KINDS[path.suffix[1:].lower()]
    try:
        content = path.read_bytes()
        amount, label = _measure(kind, path)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: {error}") from None
    return MediaFile(kind, subtype, content, amount, label)


def _measure(kind: str, path: Path) -> tuple[float, str]:
    if kind == "image":
        from PIL import Image

        with Image.open(path) as picture:
            width, height = picture.size
        return width * height / 1e6, f"{width}x{height}"
    import av

    with av.open(str(path)) as container:
        if kind == "audio":
            seconds = (container.duration or 0) / 1e6
            return seconds, f"{seconds:.0f} s"
        stream = container.streams.video[0]
        frames = stream.frames or sum(1 for _ in container.decode(stream))
        return float(frames), f"{frames}@{stream.width}x{stream.height}"
