"""Decoded pictures, kept for files that are prepared in more than one way.

Most files come once, or again for the same model, which what was prepared of them serves: to keep
their pixels too would take memory and copying for nothing. So it is noted which files came lately,
and for what. From the second way on, a file's pixels are kept, and the third is prepared from them.

JPEG files are read again: to decode one costs what handing its pixels over does, or, where it is
decoded smaller, less.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sensorium.serving.media.cache import SingleFlightCache
from sensorium.serving.media.content import Content

__all__ = ["DecodedPicture", "DecodedPictures"]

# Files of which it is known that they came: 200 bytes each.
_REMEMBERED = 4096
_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True)
class DecodedPicture:
    """Pixels, and what a worker must be told of them; none where it must read the file."""

    drawn: Any
    pixels: Content

    @property
    def nbytes(self) -> int:
        """What it takes of the cache."""
        return len(self.pixels)


class DecodedPictures:
    """Decoded pictures by their files' digests, at most `limit` bytes of them."""

    def __init__(self, limit: int) -> None:
        self.kept = SingleFlightCache[DecodedPicture](limit, kept=lambda found: found.nbytes > 0)
        self._first: OrderedDict[bytes, bytes] = OrderedDict()

    async def get(
        self,
        content: Content,
        file: bytes,
        way: bytes,
        decode: Callable[[], Awaitable[DecodedPicture]],
    ) -> DecodedPicture | None:
        """What was decoded of `content`, by `decode` where need be; None where it is to be read.

        `file` and `way` are the digests of the content and of how it is to be prepared.
        """
        if content[: len(_JPEG)] == _JPEG:
            return None
        first = self._first.setdefault(file, way)
        self._first.move_to_end(file)
        if len(self._first) > _REMEMBERED:
            self._first.popitem(last=False)
        if not self.kept.limit or (first == way and self.kept.peek(file) is None):
            return None
        found = await self.kept.get(file, decode)
        return found if found.nbytes else None
