"""How media travel: inside the request, as a URL the server fetches, or as the id of a file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any, Protocol

from sensorium.benchmarks.workload.media import MediaFile

__all__ = ["WIRES", "DataWire", "FileWire", "HttpWire", "Wire"]

WIRES = ("data", "http", "file")
_OPENAI_SOUNDS = {"wav": "wav", "mpeg": "mp3"}


class Wire(Protocol):
    """Turns a medium into a part of a chat message."""

    def part(self, medium: MediaFile) -> dict[str, Any]:
        """The content part."""


class DataWire:
    """Base64 in the request: data URLs, and OpenAI's `input_audio` for WAV and MP3."""

    def part(self, medium: MediaFile) -> dict[str, Any]:
        """The content part."""
        data = base64.b64encode(medium.content).decode("ascii")
        if medium.kind == "audio" and medium.subtype in _OPENAI_SOUNDS:
            sound = {"data": data, "format": _OPENAI_SOUNDS[medium.subtype]}
            return {"type": "input_audio", "input_audio": sound}
        return _url_part(medium, f"data:{medium.media_type};base64,{data}")


class _Once:
    """Does something for each different file, once."""

    def __init__(self, place: Callable[[MediaFile], str]) -> None:
        self._place = place
        self._known: dict[str, str] = {}

    def __call__(self, medium: MediaFile) -> str:
        key = hashlib.sha256(medium.content).hexdigest()
        if key not in self._known:
            self._known[key] = self._place(medium)
        return self._known[key]


class HttpWire:
    """URLs; `publish` makes a medium available and returns its address."""

    def __init__(self, publish: Callable[[MediaFile], str]) -> None:
        self._publish = _Once(publish)

    def part(self, medium: MediaFile) -> dict[str, Any]:
        """The content part."""
        return _url_part(medium, self._publish(medium))


class FileWire:
    """Ids of uploaded files; `upload` returns the id."""

    def __init__(self, upload: Callable[[MediaFile], str]) -> None:
        self._upload = _Once(upload)

    def part(self, medium: MediaFile) -> dict[str, Any]:
        """The content part."""
        return {"type": "file", "file": {"file_id": self._upload(medium)}}


def _url_part(medium: MediaFile, url: str) -> dict[str, Any]:
    name = f"{medium.kind}_url"
    return {"type": name, name: {"url": url}}
