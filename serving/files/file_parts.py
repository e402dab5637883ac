"""Content parts that name an uploaded file: the file's content takes the place of its id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sensorium.serving.errors import BadRequestError
from sensorium.serving.files.store import FileStore, NotFoundError
from sensorium.serving.media.lifted import keep

__all__ = ["inline_files"]

_NESTED = ("file", "image_url", "input_audio", "audio_url", "video_url")


async def inline_files(body: dict[str, Any], store: FileStore) -> bool:
    """Turn parts with a `file_id` into `file` parts with data, in place; True when there were any.

    `{"type": "file", "file": {"file_id": ...}}` is OpenAI's form; a `file_id` in the place of a
    media part's URL or data, or beside its type, does as well. What the file holds is told later,
    by its first bytes. Raises BadRequestError naming the part.
    """
    changed = False
    for path, content, index, file_id in _named(body.get("messages")):
        try:
            stored, data = await store.read(file_id)
        except NotFoundError as error:
            raise BadRequestError(error.message, param=path) from None
        content[index] = {
            "type": "file",
            "file": {"file_data": keep(data), "filename": stored.filename},
        }
        changed = True
    return changed


def _named(messages: object) -> Iterator[tuple[str, list[Any], int, str]]:
    for number, message in enumerate(messages if isinstance(messages, list) else ()):
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(content, list):
            continue
        for index, part in enumerate(content):
            if not isinstance(part, dict) or not isinstance(part.get("type"), str):
                continue
            kind = part["type"]
            path = f"messages.{number}.content.{index}"
            value = part.get(kind) if kind in _NESTED else None
            if isinstance(value, dict) and isinstance(value.get("file_id"), str):
                yield f"{path}.{kind}.file_id", content, index, value["file_id"]
            elif kind == "input_image" and isinstance(part.get("file_id"), str):
                yield f"{path}.file_id", content, index, part["file_id"]
