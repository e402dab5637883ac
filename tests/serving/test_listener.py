"""The listening socket of the server."""

from __future__ import annotations

import asyncio
import socket

from sensorium.serving.server import _listen


def test_connections_do_not_hold_small_pieces_back() -> None:
    """asyncio sets TCP_NODELAY on what is accepted only where the socket names TCP."""

    async def accepted() -> int:
        loop = asyncio.get_running_loop()
        option: asyncio.Future[int] = loop.create_future()

        class Peek(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                found = transport.get_extra_info("socket")
                option.set_result(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

        listener = _listen("127.0.0.1", 0)
        server = await loop.create_server(Peek, sock=listener)
        with socket.create_connection(listener.getsockname()):
            found = await asyncio.wait_for(option, 10)
        server.close()
        return found

    assert asyncio.run(accepted()) != 0
