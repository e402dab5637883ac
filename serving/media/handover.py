"""How a worker's answer reaches the server: a header in JSON, and raw bytes.

They lie in the buffer that both map (`buffer.py`), or, where they are too many, in memory of their
own, so that they are copied by neither. That memory is sealed: a worker that somebody has taken
over can neither change it any more nor cut it off, which would kill whoever reads it. A recording
goes as a file on disk that has no name (`SentFile`).
"""

from __future__ import annotations

import fcntl
import io
import json
import mmap
import os
import stat
import weakref
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any

from sensorium.serving.media.buffer import SharedBuffer

__all__ = ["SentFile", "receive", "receive_content", "receive_file", "send"]

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


def send(
    connection: Connection, buffer: SharedBuffer, header: dict[str, Any], content: Any
) -> None:
    """Send an answer; `content` is an array, bytes or an open file, which is closed here."""
    if isinstance(content, io.IOBase):
        with content:
            connection.send_bytes(json.dumps({**header, "file": True}).encode())
            send_handle(connection, content.fileno(), None)
        return
    view = memoryview(content).cast("B")
    buffered = buffer.answers.put(view)
    shared = view.nbytes if buffered is None else 0
    said = {**header, "shared": shared, "buffered": buffered}
    connection.send_bytes(json.dumps(said).encode())
    if not shared:
        return
    descriptor = os.memfd_create("sensorium-media", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        sent = 0
        while sent < shared:
            sent += os.write(descriptor, view[sent:])
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
        send_handle(connection, descriptor, None)
    finally:
        os.close(descriptor)


def receive(connection: Connection) -> dict[str, Any]:
    """The header of an answer, or a question. Raises ValueError for what is neither."""
    header = json.loads(connection.recv_bytes())
    if not isinstance(header, dict):
        raise ValueError("an answer without a header")
    return header


def receive_content(
    connection: Connection, buffer: SharedBuffer, header: dict[str, Any]
) -> bytearray | mmap.mmap:
    """What was decoded. Raises OSError, ValueError or RuntimeError for what is none."""
    if not header.get("shared"):
        return buffer.answers.take_writable(header.get("buffered"))
    descriptor = recv_handle(connection)
    try:
        if fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & _SEALS != _SEALS:
            raise OSError("shared memory that is not sealed")
        # Private, so that what is changed here is changed for nobody else.
        return mmap.mmap(
            descriptor,
            os.fstat(descriptor).st_size,
            flags=mmap.MAP_PRIVATE,
            prot=mmap.PROT_READ | mmap.PROT_WRITE,
        )
    finally:
        os.close(descriptor)


def receive_file(connection: Connection) -> SentFile:
    """The file that follows a header which says so. Raises OSError or RuntimeError for none."""
    descriptor = recv_handle(connection)
    os.set_inheritable(descriptor, False)
    return SentFile(descriptor)
