"""How a job's file and a worker's answer get to the other side: a header, and raw bytes.

The bytes lie in the buffer that both map (`buffer.py`), or, where they are too many, in memory of
their own that goes with the header. That memory is sealed: a worker that somebody has taken over
can neither change it any more nor cut it off, which would kill whoever reads it. A recording goes
as a file on disk that has no name (`SentFile`).
"""

from __future__ import annotations

import fcntl
import io
import mmap
import os
import stat
import weakref
from typing import Any

from sensorium.serving.media.buffer import SharedBuffer
from sensorium.serving.media.channel import Channel
from sensorium.serving.media.content import Content

__all__ = ["SentFile", "decoded", "mapped", "of_its_own", "send"]

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class SentFile:
    """An open file that a worker has written, of `size` bytes; it has no name, so it goes with it.

    It is closed once nobody holds it any more: a thread may still read it when its request is over.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError("not a file on disk")
        self.size = found.st_size

    def read(self, count: int, at: int) -> bytes:
        """`count` bytes from the byte `at` on. Raises OSError where the file has become shorter."""
        data = os.pread(self._descriptor, count, at)
        if len(data) < count:
            raise OSError("what a worker had decoded was cut off")
        return data


def send(channel: Channel, buffer: SharedBuffer, header: dict[str, Any], content: Any) -> None:
    """Send an answer; `content` is an array, bytes or an open file, which is closed here."""
    if isinstance(content, io.IOBase):
        with content:
            channel.send({**header, "file": True}, content.fileno())
        return
    view = memoryview(content).cast("B")
    buffered = buffer.answers.put(view)
    said = {**header, "buffered": buffered}
    if buffered is not None:
        channel.send(said)
        return
    descriptor = of_its_own(view)
    try:
        channel.send(said, descriptor)
    finally:
        os.close(descriptor)


def of_its_own(content: Any) -> int:
    """Sealed memory with a copy of `content`; the caller closes it."""
    view = memoryview(content).cast("B")
    descriptor = os.memfd_create("sensorium-media", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        sent = 0
        while sent < view.nbytes:
            sent += os.write(descriptor, view[sent:])
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def mapped(descriptor: int) -> mmap.mmap:
    """What lies in sealed memory. Raises OSError or ValueError for memory that is not.

    Private, so that what is changed here is changed for nobody else.
    """
    if fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & _SEALS != _SEALS:
        raise OSError("shared memory that is not sealed")
    size = os.fstat(descriptor).st_size
    return mmap.mmap(
        descriptor, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE
    )


def decoded(
    buffer: SharedBuffer, header: dict[str, Any], descriptor: int | None
) -> Content | SentFile:
    """What an answer brings; `descriptor` came with it, and is taken over.

    Raises OSError or ValueError for what makes no sense: what a worker sends is not trusted.
    """
    if descriptor is None:
        return buffer.answers.take_writable(header.get("buffered"))
    if header.get("file"):
        os.set_inheritable(descriptor, False)
        return SentFile(descriptor)
    try:
        return mapped(descriptor)
    finally:
        os.close(descriptor)
