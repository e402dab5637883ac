"""Fetching within bounds, against hostile servers on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from sensorium.serving.media.fetch import FetchPolicy, MediaFetchError, fetch

Handler = Callable[[str, asyncio.StreamWriter], Awaitable[None]]
OPEN = FetchPolicy(allow_private=True, max_bytes=1000, seconds=5)


@asynccontextmanager
async def site(handler: Handler) -> AsyncIterator[int]:
    """A server on loopback that reads a request head and does as `handler` says."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await handler(head.decode(), writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def answering(head: str, body: bytes = b"") -> Handler:
    async def handler(request: str, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {head}\r\n\r\n".encode() + body)
        await writer.drain()

    return handler


async def refused(url: str, policy: FetchPolicy = OPEN, **more: object) -> str:
    with pytest.raises(MediaFetchError) as raised:
        await fetch(url, policy, **more)  # type: ignore[arg-type]
    return str(raised.value)


async def loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


class TestTaken:
    async def test_body_with_the_host_it_was_asked_for(self) -> None:
        seen: list[str] = []

        async def handler(request: str, writer: asyncio.StreamWriter) -> None:
            seen.append(request.lower())
            await answering("200 OK\r\nContent-Length: 4", b"data")(request, writer)

        async with site(handler) as port:
            content = await fetch(f"http://pictures.example:{port}/a?b=c", OPEN, loopback)
        assert content == b"data"
        assert f"host: pictures.example:{port}" in seen[0]
        assert seen[0].startswith("get /a?b=c ")
        assert "accept-encoding: identity" in seen[0]

    async def test_relative_redirect(self) -> None:
        async def handler(request: str, writer: asyncio.StreamWriter) -> None:
            there = request.startswith("GET /there")
            head = "200 OK\r\nContent-Length: 2" if there else "302 Found\r\nLocation: /there"
            await answering(head, b"ok" if there else b"")(request, writer)

        async with site(handler) as port:
            assert await fetch(f"http://127.0.0.1:{port}/here", OPEN) == b"ok"


class TestRefused:
    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1/x",
            "http://localhost/x",
            "http://127.1/x",
            "http://2130706433/x",
            "http://[::1]/x",
            "http://[::ffff:127.0.0.1]/x",
            "http://169.254.169.254/latest/meta-data",
        ],
    )
    async def test_own_network_in_any_spelling(self, url: str) -> None:
        assert "public addresses only" in await refused(url, FetchPolicy())

    async def test_one_private_address_among_public_ones(self) -> None:
        async def mixed(host: str, port: int) -> list[str]:
            return ["93.184.216.34", "10.0.0.1"]

        reason = await refused("http://mixed.example/", FetchPolicy(), resolver=mixed)
        assert "10.0.0.1 is a private" in reason

    async def test_a_name_is_resolved_once_and_that_address_used(self) -> None:
        asked: list[str] = []

        async def rebinding(host: str, port: int) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

        async with site(answering("200 OK\r\nContent-Length: 2", b"ok")) as port:
            assert await fetch(f"http://rebind.example:{port}/", OPEN, rebinding) == b"ok"
        assert asked == ["rebind.example"]

    async def test_redirect_into_the_own_network(self) -> None:
        async with site(answering("302 Found\r\nLocation: http://10.0.0.1/")) as port:

            async def public_then_real(host: str, port_: int) -> list[str]:
                return ["10.0.0.1"] if host == "10.0.0.1" else ["127.0.0.1"]

            policy = replace(OPEN, domains=frozenset({"pictures.example"}))
            url = f"http://pictures.example:{port}/"
            assert "'10.0.0.1' is not allowed" in await refused(
                url, policy, resolver=public_then_real
            )

    async def test_redirect_to_another_scheme(self) -> None:
        async with site(answering("302 Found\r\nLocation: file:///etc/passwd")) as port:
            assert "not 'file'" in await refused(f"http://127.0.0.1:{port}/")

    async def test_redirects_without_end(self) -> None:
        async with site(answering("302 Found\r\nLocation: /again")) as port:
            assert "more than 3 redirects" in await refused(f"http://127.0.0.1:{port}/")

    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("ftp://a.example/x", "not 'ftp'"),
            ("http://user:secret@a.example/x", "user name or password"),
            ("http://a.example:22/x", "port 22"),
            ("http:///x", ""),
            ("http://a\u0000b/", ""),
        ],
    )
    async def test_urls(self, url: str, words: str) -> None:
        assert words in await refused(url, FetchPolicy())

    async def test_status(self) -> None:
        async with site(answering("404 Not Found\r\nContent-Length: 0")) as port:
            assert "answered 404" in await refused(f"http://127.0.0.1:{port}/")

    async def test_declared_size(self) -> None:
        async with site(answering("200 OK\r\nContent-Length: 1001")) as port:
            assert "1,001 bytes; at most 1,000" in await refused(f"http://127.0.0.1:{port}/")

    async def test_stream_without_end(self) -> None:
        async def endless(request: str, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                writer.write(b"x" * 500)
                await writer.drain()

        async with site(endless) as port:
            assert "more than 1,000 bytes" in await refused(f"http://127.0.0.1:{port}/")

    async def test_server_that_never_finishes(self) -> None:
        async def slow(request: str, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx")
            await writer.drain()
            await asyncio.sleep(30)

        async with site(slow) as port:
            policy = replace(OPEN, seconds=0.2)
            assert "within 0.2 s" in await refused(f"http://127.0.0.1:{port}/", policy)

    async def test_headers_without_end(self) -> None:
        head = "200 OK\r\n" + "\r\n".join(f"X-{n}: {'y' * 1000}" for n in range(200))
        async with site(answering(head)) as port:
            await refused(f"http://127.0.0.1:{port}/")

    async def test_truncated(self) -> None:
        async with site(answering("200 OK\r\nContent-Length: 10", b"short")) as port:
            await refused(f"http://127.0.0.1:{port}/")

    async def test_nobody_there(self) -> None:
        async with site(answering("200 OK")) as port:
            pass
        assert await refused(f"http://127.0.0.1:{port}/")
