"""Server-sent events of OpenAI-like streams: which carry text, tokens counted, errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["EventSplitter", "ServerSaidError", "StreamEvent", "Usage", "read_event", "read_usage"]


class ServerSaidError(Exception):
    """An event of the stream is an error object; the message is the server's."""


@dataclass
class Usage:
    """Tokens as the server counted them; a server that does not tell leaves zeros."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    media_tokens: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class StreamEvent:
    """What an event says: whether it carries text, whether it is the last, and its usage."""

    carries_text: bool
    ends: bool = False
    usage: Usage | None = None


class EventSplitter:
    """Cuts what arrives into the `data` of whole events (CR LF and LF, comments left out)."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The events that `piece` completes."""
        lines = (self._rest + piece).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            # OpenAI-like servers write each event's JSON on one line.
            if line.startswith(b"data:"):
                yield line[5:].strip()


def read_event(data: bytes) -> StreamEvent:
    """Read the data of an event.

    Streams of chats end with `[DONE]`, OpenAI's of transcriptions with `transcript.text.done`.

    Raises ValueError for what is not JSON, ServerSaidError for an error object.
    """
    if data == b"[DONE]":
        return StreamEvent(carries_text=False, ends=True)
    chunk = json.loads(data)
    if not isinstance(chunk, dict):
        raise ValueError(f"an event is not an object: {data[:80]!r}")
    if error := chunk.get("error"):
        raise ServerSaidError(str(error.get("message") if isinstance(error, dict) else error))
    kind = chunk.get("type")
    carries = any(_has_text(choice) for choice in chunk.get("choices") or ())
    carries = carries or (kind == "transcript.text.delta" and bool(chunk.get("delta")))
    return StreamEvent(carries, kind == "transcript.text.done", read_usage(chunk))


def _has_text(choice: dict[str, Any]) -> bool:
    if choice.get("text"):
        return True
    delta = choice.get("delta") or {}
    return any(
        delta.get(name)
        for name in ("content", "reasoning_content", "reasoning", "tool_calls", "refusal")
    )


def read_usage(answer: dict[str, Any]) -> Usage | None:
    """Token counts of an answer or event, with the modalities Sensorium and vLLM tell."""
    counts = answer.get("usage")
    if not isinstance(counts, dict):
        return None
    details = counts.get("prompt_tokens_details") or counts.get("input_token_details") or {}
    media = {
        kind: number
        for kind in ("image", "audio", "video")
        if (number := details.get(f"{kind}_tokens"))
    }
    if not media and isinstance(told := details.get("multimodal_tokens"), dict):
        media = {kind: int(number) for kind, number in told.items() if number}
    return Usage(
        input_tokens=counts.get("prompt_tokens") or counts.get("input_tokens") or 0,
        output_tokens=counts.get("completion_tokens") or counts.get("output_tokens") or 0,
        cached_tokens=details.get("cached_tokens") or 0,
        media_tokens=media,
    )
