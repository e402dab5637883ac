"""A row as the bytes of a request: media put in, JSON or a form made of it."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass
from typing import Any

from sensorium.serving.batch.media import (
    MediaFiles,
    MediaProblemError,
    decode_data_url,
    put_media_in,
)
from sensorium.serving.batch.rows import FORM_ENDPOINTS, Row
from sensorium.serving.media.sniff import sniff_media_type

__all__ = ["Request", "prepare"]

_BOUNDARY = f"sensorium-{uuid.uuid4().hex}"


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent for a row."""

    url: str
    content: bytes
    content_type: str


async def prepare(row: Row, files: MediaFiles) -> Request:
    """The request of a row; raises MediaProblemError for media that cannot be had."""
    if row.url in FORM_ENDPOINTS:
        return await _form(row, files)
    if row.url == "/v1/chat/completions":
        await put_media_in(row.body, files)
    return Request(row.url, json.dumps(row.body).encode(), "application/json")


async def _form(row: Row, files: MediaFiles) -> Request:
    fields = dict(row.body)
    name = "file" if "file" in fields else "file_url"
    source = fields.pop(name, None)
    if not isinstance(source, str):
        raise MediaProblemError(
            "invalid_body", "`file` must be the path or data URL of a sound", "file"
        )
    if source[:5].lower() == "data:":
        sound = decode_data_url(source, name)
        filename = "sound." + (sniff_media_type(sound[:32]) or "audio/wav").partition("/")[2]
    elif source[:8].lower().startswith(("http://", "https://")):
        raise MediaProblemError(
            "unsupported_url", f"sounds are taken by path or data URL, got {source[:80]!r}", name
        )
    else:
        path = files.locate(source, name)
        filename = path.name
        try:
            sound = await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            message = f"cannot read {source!r}: {error.strerror}"
            raise MediaProblemError("file_unreadable", message, name) from None
    content_type = f"multipart/form-data; boundary={_BOUNDARY}"
    return Request(row.url, _encode_form(fields, filename, sound), content_type)


def _encode_form(fields: dict[str, Any], filename: str, sound: bytes) -> bytes:
    parts: list[bytes] = []
    for name, value in fields.items():
        for item in value if isinstance(value, list) else [value]:
            text = item if isinstance(item, str) else json.dumps(item)
            key = f"{name}[]" if isinstance(value, list) else name
            parts.append(_part(key, "", text.encode("utf-8", "replace")))
    quoted = filename.replace('"', "_").replace("\r", "_").replace("\n", "_")
    parts.append(_part("file", f'; filename="{quoted}"', sound))
    return b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()


def _part(name: str, more: str, content: bytes) -> bytes:
    quoted = name.replace('"', "%22").replace("\r", "").replace("\n", "")
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{quoted}"{more}\r\n\r\n'
    return head.encode("utf-8", "replace") + content + b"\r\n"
