"""Media that came inside a JSON body, kept beside it.

A picture in base64 is millions of characters. Parsed, checked, copied and hashed with the rest of a
request, each such step stalls the event loop for milliseconds; so they are taken out while the body
arrives, and a short name that nobody can guess stands in their place.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

import pybase64

from sensorium.serving.media.content import Content, joined

__all__ = ["LIFTED", "Lifter", "Medium", "keep", "lifted", "lifted_of"]

# Characters from which on a text is taken out, and most texts of one body.
_LONG = 4096
_MOST = 4096
_MARK = re.compile(rb'base64,|"(?:file_)?data"\s{0,4}:\s{0,4}"')
_LONGEST_MARK = 24
# Decoded in pieces: base64 is decoded with the interpreter's lock held.
_PIECE = 1 << 20


@dataclass(frozen=True)
class Medium:
    """The bytes of a medium, or base64 of them."""

    pieces: Sequence[bytes]
    encoded: bool = True

    @property
    def size(self) -> int:
        """How many bytes, or characters of base64."""
        return sum(map(len, self.pieces))

    def content(self) -> Content:
        """The bytes; ValueError for what is not base64. A megabyte takes a tenth of a millisecond:
        many are for a thread.
        """
        if not self.encoded:
            return joined(self.pieces, self.size)
        return joined(self._decoded(), self.size // 4 * 3 + 3)

    def head(self) -> bytes:
        """The first bytes, enough to tell what it is; ValueError for what is not base64."""
        head = b"".join(self.pieces[:1])[:64]
        return (
            pybase64.b64decode(head + b"=" * (-len(head) % 4), validate=True)
            if self.encoded
            else head
        )

    def text(self) -> str:
        """The base64 itself."""
        return b"".join(self.pieces).decode("latin-1")

    def _decoded(self) -> Iterator[bytes]:
        left = b""
        for piece in self.pieces:
            for start in range(0, len(piece), _PIECE):
                part = left + piece[start : start + _PIECE]
                whole = len(part) // 4 * 4
                left = part[whole:]
                yield pybase64.b64decode(part[:whole], validate=True)
        if left:
            yield pybase64.b64decode(left, validate=True)


LIFTED: ContextVar[dict[str, Medium] | None] = ContextVar("lifted", default=None)


def keep(data: bytes) -> str:
    """What stands for these bytes in the request in hand: base64 of few, the name of many."""
    if len(data) < _LONG:
        return pybase64.b64encode(data).decode("ascii")
    media = LIFTED.get()
    if media is None:
        media = {}
        LIFTED.set(media)
    name = f"lifted-{secrets.token_hex(8)}"
    media[name] = Medium([data], encoded=False)
    return name


def lifted(name: str) -> Medium | None:
    """The medium of the request in hand that goes by this name."""
    media = LIFTED.get()
    return media.get(name) if media else None


def lifted_of(url: str) -> Medium | None:
    """The medium of the request in hand that a data URL names."""
    return lifted(url.rpartition(",")[2]) if len(url) < _LONG else None


class Lifter:
    """Takes the long base64 texts out of a JSON body, piece by piece as it comes."""

    def __init__(self) -> None:
        self.media: dict[str, Medium] = {}
        self._rest = bytearray()  # the body without them
        self._held = b""  # the end of a piece, which may hold half a mark
        self._data: list[bytes] | None = None
        self._looks = _MOST
        self._token = secrets.token_hex(8)

    def feed(self, piece: bytes) -> None:
        """Take the next bytes."""
        piece, self._held = self._held + piece, b""
        at = 0
        while at < len(piece):
            at = self._in_rest(piece, at) if self._data is None else self._in_data(piece, at)

    def finish(self) -> bytes:
        """The body, with a name in the place of each medium in `media`."""
        self._rest += self._held
        self._rest += b"".join(self._data or ())
        return bytes(self._rest)

    def restored(self, body: bytes) -> bytes:
        """The body as it came, for when a text was taken out that is no medium."""
        for name, medium in self.media.items():
            body = body.replace(name.encode(), b"".join(medium.pieces))
        return body

    def _in_rest(self, piece: bytes, at: int) -> int:
        found = _MARK.search(piece, at) if self._looks else None
        if found is not None:
            self._looks -= 1
            self._rest += piece[at : found.end()]
            self._data = []
            return found.end()
        hold = max(at, len(piece) - _LONGEST_MARK) if self._looks else len(piece)
        self._rest += piece[at:hold]
        self._held = piece[hold:]
        return len(piece)

    def _in_data(self, piece: bytes, at: int) -> int:
        assert self._data is not None
        end = piece.find(b'"', at)
        stop = len(piece) if end < 0 else end
        plain = piece.find(b"\\", at, stop) < 0
        if stop > at:
            self._data.append(piece[at:stop])
        if plain and end < 0:
            return stop
        # An escaped text is left to the parser.
        if plain and sum(map(len, self._data)) >= _LONG:
            name = f"lifted-{self._token}-{len(self.media)}"
            self.media[name] = Medium(self._data)
            self._rest += name.encode()
        else:
            self._rest += b"".join(self._data)
        self._data = None
        return stop
