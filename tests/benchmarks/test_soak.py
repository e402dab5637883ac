"""What a soak sends, counts, and says of memory."""

from __future__ import annotations

import asyncio
import base64
import io
import os
from collections import Counter

import httpx
import pytest
from PIL import Image, UnidentifiedImageError

from sensorium.benchmarks.soak.load import Outcomes, run_clients
from sensorium.benchmarks.soak.media import Item, Items
from sensorium.benchmarks.soak.memory import Sample, growth, sample

pytest.importorskip("av", reason="an engine extra brings it")
MIB = 1 << 20


def samples(*totals: int) -> list[Sample]:
    return [Sample(60.0 * n, total * MIB, 0, 0) for n, total in enumerate(totals)]


def content_of(item: Item) -> bytes:
    (part,) = (value for value in item.part.values() if isinstance(value, dict))
    return base64.b64decode(part["url"].partition(",")[2])


def test_caches_that_fill_are_no_growth_but_a_leak_is() -> None:
    filling = growth(samples(1000, 1400, 1500, 1500, 1501, 1500, 1502, 1500))
    assert filling.flat
    leaking = growth(samples(*(1000 + 40 * n for n in range(16))))
    assert not leaking.flat
    assert leaking.bytes == pytest.approx(320 * MIB)
    assert leaking.bytes_an_hour == pytest.approx(2400 * MIB)


def test_the_memory_of_a_process_is_read() -> None:
    found = sample(os.getpid(), 1.0)
    assert found.server > 10 * MIB
    assert found.total == found.server + found.engines + found.workers


def test_new_pictures_are_new_and_bad_ones_bad() -> None:
    items = Items({"image", "audio", "video"}, seed=1)
    drawn = [items.draw() for _ in range(300)]
    names = Counter(item.name for item in drawn)
    assert set(names) == {
        f"{age} {kind}" for age in ("new", "bad") for kind in ("picture", "sound", "clip")
    } | {"old picture"}
    new = [content_of(item) for item in drawn if item.name == "new picture"]
    assert len(set(new)) == len(new)
    Image.open(io.BytesIO(new[0])).load()
    for item in drawn:
        assert item.good == ("bad" not in item.name)
        if item.name == "bad picture":
            with pytest.raises((UnidentifiedImageError, OSError, Image.DecompressionBombError)):
                Image.open(io.BytesIO(content_of(item))).load()


def test_without_media_texts_are_sent() -> None:
    assert Items(set()).draw().part["type"] == "text"


def test_what_should_not_have_been_is_kept() -> None:
    outcomes = Outcomes()
    good, bad = Item("new picture", {}, good=True), Item("bad picture", {}, good=False)
    for item, outcome in [(good, "200"), (good, "left"), (bad, "400"), (bad, "429")]:
        outcomes.add(item, outcome)
    assert outcomes.wrong == []
    outcomes.add(bad, "200", "a cat")
    outcomes.add(good, "500", "broken")
    assert outcomes.wrong == ["bad picture: 200 a cat", "new picture: 500 broken"]


async def test_clients_ask_until_the_time_is_over() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(httpx.Headers(_headers(head))["content-length"])
                await reader.readexactly(length)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        outcomes = await run_clients(url, "m", Items(set()), clients=3, seconds=0.5, key=None)
    assert outcomes.counts["text", "200"] > 10
    assert outcomes.wrong == []


def _headers(head: bytes) -> list[tuple[str, str]]:
    lines = head.decode().split("\r\n")[1:-2]
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
