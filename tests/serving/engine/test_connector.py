"""Data URLs: one is decoded where it stands, many at once are left to threads."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import pytest

from sensorium.serving.media.lifted import LIFTED, Medium

pytestmark = pytest.mark.engine


class Counted(Executor):
    """Does at once what a thread would do."""

    calls = 0

    def submit(self, task: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        self.calls += 1
        done: Future[Any] = Future()
        done.set_result(task(*args, **options))
        return done


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Counted:
    from sensorium.serving.engine import connector

    counted = Counted()
    monkeypatch.setattr(connector, "global_thread_pool", counted)
    return counted


def contents(*urls: str) -> list[bytes]:
    from sensorium.serving.engine.connector import SensoriumMediaConnector

    async def load() -> list[bytes]:
        found = SensoriumMediaConnector()
        return await asyncio.gather(*(found._content(url, "image") for url in urls))

    return asyncio.run(load())


def url_of(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def test_a_file_is_decoded_without_a_thread(threads: Counted) -> None:
    for _ in range(20):  # in turns of its own each
        assert contents(url_of(b"file" * 40_000)) == [b"file" * 40_000]
    assert threads.calls == 0


def test_many_at_once_are_left_to_threads(threads: Counted) -> None:
    files = [bytes([number]) * 300_000 for number in range(5)]
    assert contents(*map(url_of, files)) == files
    assert threads.calls == 3  # two are 800,000 characters


def test_a_large_one_is_too(threads: Counted) -> None:
    assert contents(url_of(bytes(1 << 20))) == [bytes(1 << 20)]
    assert threads.calls == 1


def test_one_that_was_taken_out_of_the_request_counts_as_it_is(threads: Counted) -> None:
    text = base64.b64encode(bytes(900_000))
    LIFTED.set({"lifted-1": Medium([text]), "lifted-2": Medium([b"file"], encoded=False)})
    urls = [f"data:image/png;base64,lifted-{number}" for number in (1, 2)]
    try:
        assert contents(*urls) == [bytes(900_000), b"file"]
    finally:
        LIFTED.set(None)
    assert threads.calls == 1
