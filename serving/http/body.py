"""Read a request body once, under a cap, and hand it on to another ASGI app."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from sensorium.serving.errors import BadRequestError, PayloadTooLargeError
from sensorium.serving.media.lifted import Lifter

__all__ = ["ClientGoneError", "form_field", "parse_json", "read_body", "read_chat", "replay"]


# Pairs are well, and json.dumps writes them for every emoji; a half can be neither sent nor logged.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class ClientGoneError(Exception):
    """The client closed the connection before its request was read."""


async def read_body(receive: Receive, headers: Headers, limit: int) -> bytes:
    """The whole body, at most `limit` bytes.

    A declared length over the limit is refused before anything is read.
    """
    chunks: list[bytes] = []
    await _read(receive, headers, limit, chunks.append)
    return b"".join(chunks)


async def read_chat(receive: Receive, headers: Headers, limit: int) -> tuple[bytes, Lifter]:
    """The same of a JSON body, without its media: those are with the lifter that took them out."""
    lifter = Lifter()
    await _read(receive, headers, limit, lifter.feed)
    return lifter.finish(), lifter


async def _read(
    receive: Receive, headers: Headers, limit: int, take: Callable[[bytes], object]
) -> None:
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(int(declared), limit)
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(size, limit)
        take(chunk)
        if not message.get("more_body", False):
            return


def _too_large(size: int, limit: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(
        f"The request body has at least {size:,} bytes; this server takes {limit:,} "
        "(`--max-body-mb`). Send fewer or smaller media, or URLs instead of data"
    )


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives `body` first and then listens on for the client's departure."""
    sent = False

    async def receive_again() -> Message:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return receive_again


def parse_json(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`; BadRequestError says where it is malformed."""
    if not body.strip():
        raise BadRequestError("The request has no body; send a JSON object")
    try:
        parsed = json.loads(body.decode("utf-8-sig"))
        if _SURROGATE.search(body):
            json.dumps(parsed, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise BadRequestError(
            f"The request body is not valid JSON: {error.msg} at line {error.lineno}, "
            f"column {error.colno}"
        ) from None
    except UnicodeDecodeError as error:
        raise BadRequestError(
            f"The request body is not valid UTF-8: {error.reason} at byte {error.start}"
        ) from None
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise BadRequestError(
            f"The request body holds {half}, half of a surrogate pair, which is no character"
        ) from None
    except RecursionError:
        raise BadRequestError("The request body nests too deeply") from None
    if not isinstance(parsed, dict):
        raise BadRequestError(
            f"The request body must be a JSON object, got {type(parsed).__name__}"
        )
    return parsed


def form_field(body: bytes, name: str) -> str | None:
    """The text of one field of a multipart form, found without parsing the files in it.

    Only used to choose the model; the model's own app parses the form properly.
    """
    pattern = rb'name="?' + re.escape(name.encode()) + rb'"?\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]*)\r\n'
    found = re.search(pattern, body)
    return found.group(1).decode("utf-8", "replace") if found else None
