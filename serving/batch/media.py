"""Media named by path in a row's body: read once, encoded once, put in as data URLs.

Paths are taken only below one folder. What has been encoded is kept by its content, up to a number
of bytes, so rows that share a picture share one reading of it, and one string in memory.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import urllib.parse
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensorium.serving.batch.rows import Problem
from sensorium.serving.media.sniff import sniff_media_type

__all__ = ["Encoded", "MediaFiles", "MediaProblemError", "put_media_in"]

_MODALITY_OF_PART = {"image_url": "image", "audio_url": "audio", "video_url": "video"}
_MOST_PATHS = 200_000
_LARGEST_FILE = 1 << 30


class MediaProblemError(Exception):
    """A medium that cannot be had; `problem` goes into the row's error."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.problem = Problem(code, message, param)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A file as base64 text, and what it is."""

    media_type: str
    text: str

    @property
    def data_url(self) -> str:
        """The whole as a data URL."""
        return f"data:{self.media_type};base64,{self.text}"


class MediaFiles:
    """Reads media files below `root` (None: no path is allowed), keeping `budget` bytes of text."""

    def __init__(self, root: Path | None, budget: int = 256 << 20) -> None:
        self._root = root.resolve() if root is not None else None
        self._budget = budget
        self._size = 0
        self._by_content: OrderedDict[bytes, Encoded] = OrderedDict()
        self._content_of: OrderedDict[tuple[str, int, int], bytes] = OrderedDict()
        self._reading: dict[tuple[str, int, int], asyncio.Future[Encoded]] = {}
        self.hits = 0
        self.misses = 0

    def locate(self, text: str, param: str | None = None) -> Path:
        """The file that a path or file: URL in a row means; MediaProblemError where it may not."""
        if text[:5].lower() == "file:":
            text = urllib.parse.unquote(urllib.parse.urlsplit(text).path)
        if self._root is None:
            raise MediaProblemError(
                "path_not_allowed", f"paths are not taken here: {text!r}", param
            )
        try:
            path = (self._root / text).resolve()
            inside = path.is_relative_to(self._root)
            if inside and path.is_file():
                return path
        except (OSError, ValueError):
            inside = True
        if not inside:
            raise MediaProblemError(
                "path_not_allowed", f"{text!r} is outside of the media root {self._root}", param
            )
        raise MediaProblemError("file_not_found", f"no file {text!r} below {self._root}", param)

    async def encode(self, text: str, param: str | None = None) -> Encoded:
        """The content of the file that `text` names, from memory where it is there."""
        path = self.locate(text, param)
        try:
            status = path.stat()
        except OSError as error:
            raise _unreadable(text, error, param) from None
        if status.st_size > _LARGEST_FILE:
            raise MediaProblemError(
                "file_too_large", f"{text!r} has {status.st_size:,} bytes", param
            )
        key = (str(path), status.st_mtime_ns, status.st_size)
        known = self._content_of.get(key)
        if known is not None and known in self._by_content:
            self.hits += 1
            self._by_content.move_to_end(known)
            return self._by_content[known]
        if key in self._reading:
            self.hits += 1
            return await asyncio.shield(self._reading[key])
        return await self._read(key, path, text, param)

    async def _read(
        self, key: tuple[str, int, int], path: Path, text: str, param: str | None
    ) -> Encoded:
        self.misses += 1
        future: asyncio.Future[Encoded] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._reading[key] = future
        try:
            digest, encoded = await asyncio.to_thread(_read_file, path, self._by_content)
        except OSError as error:
            problem = _unreadable(text, error, param)
            future.set_exception(problem)
            raise problem from None
        except MediaProblemError as error:
            future.set_exception(error)
            raise
        else:
            self._keep(key, digest, encoded)
            future.set_result(encoded)
            return encoded
        finally:
            del self._reading[key]
            future.cancel()

    def _keep(self, key: tuple[str, int, int], digest: bytes, encoded: Encoded) -> None:
        self._content_of[key] = digest
        if len(self._content_of) > _MOST_PATHS:
            self._content_of.popitem(last=False)
        if digest in self._by_content:
            return
        self._by_content[digest] = encoded
        self._size += len(encoded.text)
        while self._size > self._budget:
            self._size -= len(self._by_content.popitem(last=False)[1].text)


def _read_file(path: Path, known: OrderedDict[bytes, Encoded]) -> tuple[bytes, Encoded]:
    content = path.read_bytes()
    digest = hashlib.blake2b(content, digest_size=16).digest()
    if (encoded := known.get(digest)) is not None:
        return digest, encoded
    media_type = sniff_media_type(content[:32])
    if media_type is None:
        raise MediaProblemError(
            "unsupported_file", f"{path.name} is no image, sound or video that can be told apart"
        )
    return digest, Encoded(media_type, base64.b64encode(content).decode("ascii"))


def _unreadable(text: str, error: OSError, param: str | None) -> MediaProblemError:
    return MediaProblemError("file_unreadable", f"cannot read {text!r}: {error.strerror}", param)


async def put_media_in(body: dict[str, Any], files: MediaFiles) -> None:
    """Replace paths in the content parts of a chat body by data URLs, in place.

    Sounds become `input_audio`, which every OpenAI-compatible server knows. URLs of other schemes
    are left to the server. Raises MediaProblemError naming the part.
    """
    for path, content, index in _parts(body.get("messages")):
        part = content[index]
        kind = part["type"]
        value = part.get(kind)
        url = value.get("url") if isinstance(value, dict) else value
        if not isinstance(url, str) or not _is_path(url):
            continue
        param = f"{path}.{kind}"
        encoded = await files.encode(url, param)
        modality = _MODALITY_OF_PART[kind]
        if encoded.media_type.partition("/")[0] != modality:
            raise MediaProblemError(
                "unsupported_file", f"{url!r} is {encoded.media_type}, not {modality}", param
            )
        rest = {k: v for k, v in value.items() if k != "url"} if isinstance(value, dict) else {}
        if modality == "audio":
            form = {"data": encoded.text, "format": _audio_format(encoded.media_type)}
            content[index] = {"type": "input_audio", "input_audio": form}
        else:
            content[index] = {**part, kind: {"url": encoded.data_url, **rest}}


def _parts(messages: object) -> Iterator[tuple[str, list[Any], int]]:
    """Every part that can hold a URL, by its list and place; what is wrong the server will name."""
    for number, message in enumerate(messages if isinstance(messages, list) else ()):
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(content, list):
            continue
        for index, part in enumerate(content):
            if isinstance(part, dict) and part.get("type") in _MODALITY_OF_PART:
                yield f"messages.{number}.content.{index}", content, index


def _is_path(url: str) -> bool:
    scheme = url[:20].partition(":")[0].lower()
    return scheme == "file" or scheme not in {"data", "http", "https"}


def _audio_format(media_type: str) -> str:
    name = media_type.partition("/")[2]
    return {"mpeg": "mp3", "mp4": "m4a"}.get(name, name)


def decode_data_url(url: str, param: str | None = None) -> bytes:
    """The bytes of a base64 data URL; MediaProblemError where it is none."""
    try:
        return base64.b64decode(url[url.index(",") + 1 :], validate=True)
    except (ValueError, binascii.Error):
        raise MediaProblemError("invalid_base64", "not a base64 data URL", param) from None
