"""The bytes of a file, put together from pieces without holding up the interpreter.

Joining or growing megabytes of bytes is one copy with the interpreter's lock held, during which the
event loop stands still. Much is therefore copied piece by piece into memory of its own.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable

__all__ = ["Content", "joined"]

Content = bytes | bytearray | mmap.mmap
_LONG = 1 << 20


def joined(pieces: Iterable[bytes], most: int) -> Content:
    """The pieces in one; they have at most `most` bytes."""
    if most < _LONG:
        return b"".join(pieces)
    content, size = mmap.mmap(-1, most), 0
    for piece in pieces:
        content[size : size + len(piece)] = piece
        size += len(piece)
    if not size:
        return b""
    content.resize(size)
    return content
