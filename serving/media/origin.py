"""Where the media of the request in hand came from, for errors that name the part.

The engine's media connector is given a URL only; the outer app notes for each URL the field it
stood in, in a context variable that vLLM's tasks inherit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar

__all__ = ["AFTERWARDS", "FIELD_OF_URL", "field_of", "request_mark"]

FIELD_OF_URL: ContextVar[Mapping[str, str] | None] = ContextVar("field_of_url", default=None)

# What is to be called when the request in hand has ended, however that was.
AFTERWARDS: ContextVar[list[Callable[[], object]] | None] = ContextVar("afterwards", default=None)


def field_of(url: str) -> str | None:
    """The request field that held `url`, such as `messages.0.content.1.image_url.url`."""
    fields = FIELD_OF_URL.get()
    return fields.get(url) if fields else None


def request_mark() -> str:
    """Something that a request's media have in common, and no other's at the same time."""
    return str(id(FIELD_OF_URL.get()))
