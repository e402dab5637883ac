"""Single flight and the bound of the cache."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from sensorium.serving.media.cache import SingleFlightCache


@dataclass
class Value:
    nbytes: int


def cache(limit: int = 100) -> SingleFlightCache[Value]:
    return SingleFlightCache(limit)


async def make(size: int = 10) -> Value:
    await asyncio.sleep(0.01)
    return Value(size)


def test_is_made_once_and_kept() -> None:
    async def scene() -> tuple[int, int, bool]:
        found = cache()
        first = await asyncio.gather(*(found.get(b"a", make) for _ in range(5)))
        again = await found.get(b"a", make)
        return found.misses, found.hits, all(value is again for value in first)

    assert asyncio.run(scene()) == (1, 5, True)


def test_the_least_used_go_first_and_the_bound_holds() -> None:
    async def scene() -> tuple[int, int]:
        found = cache(25)
        for key in (b"a", b"b", b"a", b"c", b"a", b"d"):
            await found.get(key, make)
        misses = found.misses
        await found.get(b"a", make)
        assert found.misses == misses
        await found.get(b"b", make)
        await found.get(b"big", lambda: make(26))
        return found.misses - misses, found.bytes

    assert asyncio.run(scene()) == (2, 20)


def test_one_who_leaves_does_not_end_it_for_the_others() -> None:
    async def scene() -> Value:
        found = cache()
        leaves = asyncio.create_task(found.get(b"a", make))
        stays = asyncio.create_task(found.get(b"a", make))
        await asyncio.sleep(0)
        leaves.cancel()
        return await stays

    assert asyncio.run(scene()).nbytes == 10


def test_the_making_ends_with_the_last_who_waits_and_begins_anew() -> None:
    cancelled = []

    async def slow() -> Value:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return Value(1)

    async def scene() -> Value:
        found = cache()
        task = asyncio.create_task(found.get(b"a", slow))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await found.get(b"a", make)

    assert asyncio.run(scene()).nbytes == 10
    assert cancelled == [True]


def test_a_failure_is_everybodys_and_not_kept() -> None:
    async def fails() -> Value:
        await asyncio.sleep(0.01)
        raise ValueError("no image")

    async def scene() -> Value:
        found = cache()
        outcomes = await asyncio.gather(
            *(found.get(b"a", fails) for _ in range(3)), return_exceptions=True
        )
        assert all(isinstance(outcome, ValueError) for outcome in outcomes)
        return await found.get(b"a", make)

    assert asyncio.run(scene()).nbytes == 10
