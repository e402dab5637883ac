"""Media workers as processes or as threads: what each leaves of the server's own thread.

    python -m sensorium.benchmarks.local.media_workers --workers 1 --pictures 400

The same job in both, a JPEG to the squares of a vision tower, `workers` at a time, while the event
loop has something to do all the time, as it has in a server under load: turns of half a millisecond
of plain Python. Told are pictures a second, how many of those turns the loop got done meanwhile,
and the longest time between two.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sensorium.benchmarks.workload.photos import draw_photo, encode_photo
from sensorium.model_adapters.square_rule import SquareRule
from sensorium.serving.media.image_work import image_job
from sensorium.serving.media.pool import MediaPool, PoolOptions

__all__: list[str] = []

_SIZE = (1280, 720)
_DIFFERENT = 16
_TURN = 0.0005
_HEADER: dict[str, Any] = {
    "max_pixels": 1 << 26,
    "exact": False,
    "recipe": SquareRule("crop", 336).recipe(),
    "mode": "RGB",
    "background": [255, 255, 255],
}

Prepare = Callable[[bytes], Awaitable[object]]


@dataclass(frozen=True)
class Outcome:
    """What came of a run: a second's pictures and turns, and the longest turn in seconds."""

    pictures: float
    turns: float
    longest: float


class _Turns:
    """Plain Python in the event loop, half a millisecond at a time, until told to stop."""

    def __init__(self) -> None:
        self.count = 0
        self.longest = 0.0
        self.going = True

    async def run(self) -> None:
        last = time.perf_counter()
        while self.going:
            until = time.thread_time() + _TURN
            while time.thread_time() < until:
                pass
            await asyncio.sleep(0)
            now = time.perf_counter()
            self.count += 1
            self.longest = max(self.longest, now - last)
            last = now


async def measure(prepare: Prepare, files: list[bytes], count: int, at_once: int) -> Outcome:
    """Prepare `count` pictures, `at_once` at a time, beside a busy event loop."""
    await asyncio.gather(*(prepare(content) for content in files))
    turns, left = _Turns(), iter(range(count))

    async def caller() -> None:
        for number in left:
            await prepare(files[number % len(files)])

    began = time.perf_counter()
    busy = asyncio.create_task(turns.run())
    await asyncio.gather(*(caller() for _ in range(at_once)))
    seconds = time.perf_counter() - began
    turns.going = False
    await busy
    return Outcome(count / seconds, turns.count / seconds, turns.longest)


async def in_processes(files: list[bytes], count: int, workers: int) -> Outcome:
    """By the server's own pool."""
    pool = MediaPool(PoolOptions(workers))
    pool.start()
    try:

        async def prepare(content: bytes) -> object:
            return await pool.run("one", {"kind": "image", **_HEADER}, content)

        return await measure(prepare, files, count, workers)
    finally:
        pool.close()


async def in_threads(files: list[bytes], count: int, workers: int) -> Outcome:
    """By the function that the workers call, in threads of this process."""
    import torch

    torch.set_num_threads(1)  # as in a worker
    with ThreadPoolExecutor(workers) as pool:

        async def prepare(content: bytes) -> object:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(pool, image_job, _HEADER, content)

        return await measure(prepare, files, count, workers)


def main() -> None:
    """Print both, in turns."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    files = [encode_photo(draw_photo(_SIZE, str(n)), "jpeg").content for n in range(_DIFFERENT)]
    ways = {"processes": in_processes, "threads": in_threads}
    print(f"{'':10} pictures/s  turns/s  longest turn, ms")
    for _ in range(given.rounds):
        for name, way in ways.items():
            got = asyncio.run(way(files, given.pictures, given.workers))
            longest = 1000 * got.longest
            print(f"{name:10} {got.pictures:10.0f} {got.turns:8.0f} {longest:17.1f}")


if __name__ == "__main__":
    main()
