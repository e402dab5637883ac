"""Memory that the server and a worker both map: a file goes in, what was decoded comes out.

It stays mapped from job to job, which costs one copy where a socket takes two, and pages that are
new each time. The server copies what it takes before it looks at it, and the memory cannot be cut
off: a worker that somebody has taken over can write nonsense, and nothing else.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from typing import Any

from sensorium.serving.media.channel import Channel

__all__ = ["LARGEST", "SharedBuffer"]

# Bytes of a file, and as many of what was decoded; what is larger goes another way.
LARGEST = 4 << 20
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class _Half:
    def __init__(self, memory: mmap.mmap, start: int) -> None:
        self._memory = memory
        self._start = start

    def put(self, data: Any) -> int | None:
        """Write bytes or an array of bytes; how many they are, None where they are too many."""
        view = memoryview(data).cast("B")
        if view.nbytes > LARGEST:
            return None
        self._memory[self._start : self._start + view.nbytes] = view
        return view.nbytes

    def take(self, count: object) -> bytes:
        """A copy of so many bytes. Raises ValueError for a number that cannot be."""
        end = self._end(count)
        return self._memory[self._start : end]

    def take_writable(self, count: object) -> bytearray:
        """As `take`; for arrays, of which torch wants that they can be written."""
        end = self._end(count)
        with memoryview(self._memory) as view:
            return bytearray(view[self._start : end])

    def _end(self, count: object) -> int:
        if not isinstance(count, int) or not 0 <= count <= LARGEST:
            raise ValueError(f"{count} bytes of a buffer of {LARGEST}")
        return self._start + count


class SharedBuffer:
    """`files` is written by the server, `answers` by the worker."""

    def __init__(self, descriptor: int) -> None:
        memory = mmap.mmap(descriptor, 2 * LARGEST)
        self.files = _Half(memory, 0)
        self.answers = _Half(memory, LARGEST)

    @classmethod
    def shared_by(cls, channel: Channel) -> SharedBuffer:
        """A new one, whose other end gets it as the first message (`received_from`)."""
        flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
        descriptor = os.memfd_create("sensorium-media-buffer", flags)
        try:
            os.ftruncate(descriptor, 2 * LARGEST)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
            channel.send({"buffer": 2 * LARGEST}, descriptor)
            return cls(descriptor)
        finally:
            os.close(descriptor)

    @classmethod
    def received_from(cls, channel: Channel) -> SharedBuffer:
        """The one that the other end shares."""
        _, descriptor = channel.receive()
        if descriptor is None:
            raise ValueError("a buffer without its memory")
        try:
            return cls(descriptor)
        finally:
            os.close(descriptor)
