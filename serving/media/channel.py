"""Messages between the server and a worker: JSON in packets, open files beside it.

A packet comes whole or not at all, so the server's event loop reads what has come and never waits
in the middle of a message. Never a pickle: a worker that somebody has taken over cannot run code in
the server.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import Any, Final

__all__ = ["LONGEST", "Channel"]

# Bytes of a packet; sockets of Linux take 200,000 unless told otherwise. A message names at most
# the frames of a video, seven bytes each.
LONGEST: Final = 128 << 10


class Channel:
    """One end of a connection. `receive` waits for a message where `blocking`."""

    def __init__(self, end: socket.socket, *, blocking: bool) -> None:
        self._socket = end
        end.setblocking(blocking)

    @staticmethod
    def pair() -> tuple[socket.socket, socket.socket]:
        """The two ends of a new connection."""
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def send(self, message: dict[str, Any], descriptor: int | None = None) -> None:
        """Send a message, with an open file where there is one.

        Raises ValueError for one that is too long, OSError where nobody listens any more.
        """
        packet = json.dumps(message).encode()
        if len(packet) > LONGEST:
            raise ValueError(f"a message of {len(packet):,} bytes; at most {LONGEST:,} are taken")
        if descriptor is None:
            self._socket.send(packet)
        else:
            socket.send_fds(self._socket, [packet], [descriptor])

    def receive(self) -> tuple[dict[str, Any], int | None]:
        """The next message, and the file that came with it, which the caller closes.

        Raises BlockingIOError where none is here yet, EOFError where none will come any more,
        ValueError for what is no message.
        """
        packet, files, flags, _ = socket.recv_fds(self._socket, LONGEST, 1)
        with contextlib.ExitStack() as to_close:
            for file in files:
                to_close.callback(os.close, file)
            if not packet:
                raise EOFError
            message = None if flags & socket.MSG_TRUNC else json.loads(packet)
            if not isinstance(message, dict):
                raise ValueError("an answer without a header")
            to_close.pop_all()
        return message, files[0] if files else None

    def close(self) -> None:
        """End the connection."""
        self._socket.close()
