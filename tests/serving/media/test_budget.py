"""What a request's media may amount to, all together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from sensorium.serving.media.budget import BUDGET, Budget, MediaBudgetError, RequestLimits, spend
from sensorium.serving.media.pipeline import MediaPipeline
from sensorium.serving.media.pool import PoolOptions
from sensorium.serving.media.prepared import Recipe
from tests.serving.media.test_fetch import OPEN, answering, site
from tests.serving.media.test_image_work import file, photo

pytest.importorskip("torch", reason="an engine extra brings it")


@pytest.fixture(scope="module")
def pipeline() -> Iterator[MediaPipeline]:
    made = MediaPipeline(options=PoolOptions(workers=1, seconds=60))
    made.start()
    yield made
    made.close()


def test_what_came_and_what_is_allowed_is_said() -> None:
    budget = Budget(RequestLimits(items=2, bytes=1000, seconds=1.5))
    budget.spend("items", 2)
    budget.spend("bytes", 600)
    with pytest.raises(
        MediaBudgetError,
        match=r"have 1,200 bytes; at most 1,000 are taken .*\(`--media-max-request-mb`\)",
    ):
        budget.spend("bytes", 600)
    with pytest.raises(MediaBudgetError, match=r"3 items; at most 2 .*--media-max-request-items"):
        budget.spend("items", 1)


def test_without_a_limit_tokens_are_the_models_business() -> None:
    Budget(RequestLimits()).spend("tokens", 1e9)
    with pytest.raises(MediaBudgetError, match=r"11 tokens; at most 10"):
        Budget(RequestLimits(tokens=10)).spend("tokens", 11)


def test_without_a_request_nothing_is_counted() -> None:
    assert BUDGET.get() is None
    spend("bytes", 1e15)


async def test_pictures_add_up_also_those_that_are_cached(pipeline: MediaPipeline) -> None:
    content = file(photo(40, 30), "PNG")
    BUDGET.set(Budget(RequestLimits(pixels=3000)))
    await pipeline.picture(content, Recipe())
    await pipeline.picture(content, Recipe())
    with pytest.raises(MediaBudgetError, match=r"3,600 pixels; at most 3,000"):
        await pipeline.picture(content, Recipe())


async def test_sounds_add_up(pipeline: MediaPipeline) -> None:
    soundfile = pytest.importorskip("soundfile", reason="an engine extra brings it")
    import io

    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(16000, np.float32), 8000, format="WAV")
    BUDGET.set(Budget(RequestLimits(seconds=3)))
    await pipeline.sound(buffer.getvalue())
    with pytest.raises(MediaBudgetError, match=r"4 seconds of sound; at most 3"):
        await pipeline.sound(buffer.getvalue())


async def test_bytes_are_spent_while_they_come() -> None:
    from sensorium.serving.media.fetch import fetch

    async def endless(request: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 100)
            await writer.drain()

    BUDGET.set(Budget(RequestLimits(bytes=900)))
    async with site(answering("200 OK\r\nContent-Length: 500", b"x" * 500)) as port:
        await fetch(f"http://127.0.0.1:{port}/", OPEN)
    async with site(endless) as port:
        with pytest.raises(MediaBudgetError, match=r"at most 900 are taken"):
            await fetch(f"http://127.0.0.1:{port}/", replace(OPEN, max_bytes=1 << 30))
