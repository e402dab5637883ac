"""Memory: what a process keeps, and what the garbage collector leaves alone."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from sensorium.serving.memory import QuietHeap


def test_what_exists_at_the_start_is_left_out_of_collections() -> None:
    code = (
        "import gc; from sensorium.serving.memory import QuietHeap\n"
        "kept = [[number] for number in range(50_000)]\n"
        "QuietHeap().start()\n"
        "print(gc.get_freeze_count() > 50_000, len(gc.get_objects()) < 1_000, *gc.get_threshold())"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["True", "True", "200", "4", "1000"]


def test_what_was_freed_is_used_again_without_new_pages() -> None:
    """Pages are four kilobytes; some of a thousand others."""
    code = (
        "import resource, sys; from sensorium.serving.memory import keep_memory\n"
        "if sys.argv[1] == 'kept': keep_memory()\n"
        "def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "size, before = 16 << 20, 0\n"
        "for number in range(4):\n"
        "    before = faults() if number == 1 else before\n"
        "    bytearray(b'x' * size)\n"
        "print(faults() - before)"
    )
    new_pages = {
        how: int(subprocess.check_output([sys.executable, "-P", "-c", code, how], text=True))
        for how in ("kept", "as it is")
    }
    assert new_pages["kept"] < new_pages["as it is"] / 10


@pytest.fixture
def thawed() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


@pytest.mark.usefixtures("thawed")
def test_what_is_kept_of_requests_is_left_out_once_nothing_is_asked() -> None:
    kept: list[list[int]] = []

    def left_out() -> bool:
        found = {id(thing) for thing in gc.get_objects()}
        return all(id(thing) not in found for thing in kept)

    async def scene() -> None:
        heap = QuietHeap(seconds=0.05)
        heap.begin()
        heap.end()
        await asyncio.sleep(0.1)
        kept.append([0])
        assert not left_out()  # it had not started
        heap.start()
        for _ in range(2):
            heap.begin()
        kept.append([1])
        heap.end()
        await asyncio.sleep(0.1)
        assert not left_out()  # one is still being answered
        heap.end()
        heap.begin()  # at once the next
        await asyncio.sleep(0.1)
        assert not left_out()
        heap.end()
        await asyncio.sleep(0.1)
        assert left_out()

    asyncio.run(scene())
