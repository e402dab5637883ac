"""Servers that mean harm: each is one clear error, soon, and leaves no memory taken."""

from __future__ import annotations

import asyncio
import gzip
import io
import socket
import struct
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

from sensorium.serving.media import fetch as fetch_module
from sensorium.serving.media.addresses import refusal
from sensorium.serving.media.fetch import FetchPolicy, MediaFetchError, fetch
from sensorium.serving.media.pipeline import MediaPipeline
from sensorium.serving.media.pool import MediaWorkError, PoolOptions
from sensorium.serving.media.prepared import Recipe
from tests.serving.media.test_fetch import Handler, answering, site
from tests.serving.media.test_image_work import file, photo

pytest.importorskip("torch", reason="an engine extra brings it")
SECONDS = 1.0
POLICY = FetchPolicy(allow_private=True, max_bytes=1 << 20, seconds=SECONDS)
PNG = file(photo(40, 30), "PNG")


async def slow_head(request: str, writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"y" * 1000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.02)


async def slow_body(request: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def silent(request: str, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def endless_head(request: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-Header: " + b"y" * 50_000 + b"\r\n")
        await writer.drain()


async def endless_line(request: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-Header: ")
    while True:
        writer.write(b"y" * 65_536)
        await writer.drain()


async def endless_body(request: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def endless_chunks(request: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1\r\nx\r\n" * 10_000)
        await writer.drain()


async def reset(request: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nxxxx")
    await writer.drain()
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def redirects(request: str, writer: asyncio.StreamWriter) -> None:
    number = int(request.split()[1].rpartition("/")[2] or 0)
    head = f"302 Found\r\nContent-Length: 0\r\nLocation: /{number + 1}"
    await answering(head)(request, writer)


HOSTILE: dict[str, tuple[Handler, str]] = {
    "head, byte by byte": (slow_head, "within 1 s"),
    "body, byte by byte": (slow_body, "within 1 s"),
    "says nothing": (silent, "within 1 s"),
    "head without end": (endless_head, ""),
    "header without end": (endless_line, ""),
    "body without end": (endless_body, "more than 1,048,576 bytes"),
    "chunks of a byte without end": (endless_chunks, ""),
    "length too large to take": (
        answering("200 OK\r\nContent-Length: 99999999999"),
        "99,999,999,999 bytes; at most 1,048,576",
    ),
    "length larger than the body": (answering("200 OK\r\nContent-Length: 99", b"short"), ""),
    "length that is none": (answering("200 OK\r\nContent-Length: many", b"short"), ""),
    "two lengths": (answering("200 OK\r\nContent-Length: 5\r\nContent-Length: 9", b"short"), ""),
    "connection reset": (reset, ""),
    "no HTTP": (answering("", b"\x00" * 1000), ""),
    "redirects": (redirects, "more than 3 redirects"),
    "redirect to nowhere": (answering("302 Found\r\nLocation: http://"), ""),
    "redirect to a file": (answering("302 Found\r\nLocation: file:///etc/passwd"), "not 'file'"),
}


async def refused(handler: Handler, policy: FetchPolicy = POLICY) -> str:
    async with site(handler) as port:
        with pytest.raises(MediaFetchError) as raised:
            await fetch(f"http://127.0.0.1:{port}/", policy)
    return str(raised.value)


async def test_each_is_an_error_in_time(capsys: pytest.CaptureFixture[str]) -> None:
    longest = 0.0
    process = psutil.Process()
    await refused(HOSTILE["body without end"][0])  # what is loaded once is loaded now
    before = process.memory_info().rss
    for name, (handler, words) in HOSTILE.items():
        for _ in range(3 if "within" not in words else 1):
            began = time.monotonic()
            said = await refused(handler)
            longest = max(longest, time.monotonic() - began)
            assert said, name
            assert words in said, name
    grown = (process.memory_info().rss - before) / 2**20
    with capsys.disabled():
        print(
            f"\n{len(HOSTILE)} hostile servers: longest {longest:.1f} s of {SECONDS:.0f} s, "
            f"{grown:+.0f} MiB"
        )
    assert longest < SECONDS + 3  # a busy machine
    assert grown < 30


async def test_a_body_longer_than_its_length_is_cut_there() -> None:
    async with site(answering("200 OK\r\nContent-Length: 4", b"data and more")) as port:
        assert await fetch(f"http://127.0.0.1:{port}/", POLICY) == b"data"


@pytest.mark.parametrize(
    "there", ["http://10.0.0.1/", "http://169.254.169.254/latest", "http://[::1]/", "//127.0.0.2/"]
)
async def test_a_redirect_into_the_own_network(there: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first server stands for a public one; what it points to is checked like any address."""
    monkeypatch.setattr(
        fetch_module, "refusal", lambda at: None if at == "127.0.0.1" else refusal(at)
    )
    async with site(answering(f"302 Found\r\nLocation: {there}")) as port:
        policy = replace(POLICY, allow_private=False, ports=frozenset({80, port}))
        with pytest.raises(MediaFetchError, match="public addresses only"):
            await fetch(f"http://127.0.0.1:{port}/", policy)


@pytest.fixture(scope="module")
def pipeline() -> Iterator[MediaPipeline]:
    made = MediaPipeline(options=PoolOptions(workers=1, seconds=60))
    made.start()
    yield made
    made.close()


def polyglot(head: bytes) -> bytes:
    """A picture that is an archive too."""
    buffer = io.BytesIO(head)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("run.sh", "rm -rf /")
    return buffer.getvalue()


NO_PICTURES = {
    "SVG": b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><script/></svg>",
    "SVG with an address": b"<svg><image href='http://169.254.169.254/'/></svg>",
    "HTML": b"<!doctype html><html><body><img src=x onerror=alert(1)></body></html>",
    "HTML that begins as a GIF": b"GIF89a/*<html>*/=1;alert(1)",
    "HTML that begins as a JPEG": b"\xff\xd8\xff<html></html>",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run",
    "PDF": b"%PDF-1.7\n1 0 obj",
    "archive": polyglot(b""),
    "gzip of a picture": gzip.compress(PNG),
    "gzip of a million zeros": gzip.compress(bytes(1 << 20)),
}


@pytest.mark.parametrize("name", NO_PICTURES)
async def test_what_poses_as_a_picture(name: str, pipeline: MediaPipeline) -> None:
    """Whatever type its server says it is of."""
    head = f"200 OK\r\nContent-Type: image/png\r\nContent-Length: {len(NO_PICTURES[name])}"
    async with site(answering(head, NO_PICTURES[name])) as port:
        content = await fetch(f"http://127.0.0.1:{port}/a.png", POLICY)
    with pytest.raises(MediaWorkError):
        await pipeline.picture(content, Recipe())
    assert pipeline.pool.replaced == 0


async def test_what_a_server_compresses_unasked_is_not_unpacked(pipeline: MediaPipeline) -> None:
    bomb = gzip.compress(bytes(64 << 20))
    head = f"200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}"
    async with site(answering(head, bomb)) as port:
        assert await fetch(f"http://127.0.0.1:{port}/", POLICY) == bomb


async def test_a_picture_that_is_an_archive_too_is_a_picture(pipeline: MediaPipeline) -> None:
    head = f"200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(polyglot(PNG))}"
    async with site(answering(head, polyglot(PNG))) as port:
        content = await fetch(f"http://127.0.0.1:{port}/", POLICY)
    assert (await pipeline.picture(content, Recipe())).size == (40, 30)


async def test_a_bomb_is_refused_by_its_header(pipeline: MediaPipeline) -> None:
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR"
    content = head + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0) + bytes(40)
    with pytest.raises(MediaWorkError, match=r"60000x60000 pixels|not an image"):
        await pipeline.picture(content, Recipe())
