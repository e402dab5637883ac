"""Sends requests at one level of load, closed or open loop, and returns their records."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from sensorium.benchmarks.client.request import PreparedRequest
from sensorium.benchmarks.load.arrivals import Arrivals
from sensorium.benchmarks.measure.record import RequestRecord

__all__ = ["Clock", "Level", "LevelRun", "Sender", "Supplier", "run_level"]


class Sender(Protocol):
    """Something that sends a request and fills in its record."""

    async def send(self, request: PreparedRequest, record: RequestRecord, zero: float) -> None:
        """Send; times are seconds since `zero`."""


class Supplier(Protocol):
    """Where the requests of a level come from."""

    async def take(self, index: int) -> tuple[PreparedRequest, bool]:
        """The request number `index`, and whether it had to be made just now."""


class Clock(Protocol):
    """Time in seconds, and waiting; a test brings its own."""

    def now(self) -> float:
        """Seconds from any fixed moment."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class _RealClock:
    def now(self) -> float:
        return time.perf_counter()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


REAL_CLOCK = _RealClock()


@dataclass(frozen=True)
class Level:
    """One level of load: `concurrency` in a closed loop, or `arrivals` in an open one.

    It ends after `requests` or `seconds`, whichever is given and comes first; requests already sent
    are waited for. `most_at_once` holds back an open loop; what waits there counts as latency.
    """

    concurrency: int | None = None
    arrivals: Arrivals | None = None
    requests: int | None = None
    seconds: float | None = None
    most_at_once: int | None = None

    @property
    def name(self) -> str:
        """As tables show it."""
        if self.arrivals is None:
            return f"concurrency {self.concurrency}"
        ramp = self.arrivals.ramp_to
        return f"{self.arrivals.rate:g}{'' if ramp is None else f' to {ramp:g}'} requests/s"


@dataclass
class LevelRun:
    """The records of a level while it grows. `began` is on the wall clock."""

    level: Level
    records: list[RequestRecord] = field(default_factory=list)
    in_flight: int = 0
    began: float = 0.0
    zero: float = 0.0
    seconds: float = 0.0
    own_cpu_seconds: float = 0.0


async def run_level(
    level: Level,
    sender: Sender,
    supplier: Supplier,
    *,
    on_start: Callable[[LevelRun], None] = lambda run: None,
    clock: Clock = REAL_CLOCK,
) -> LevelRun:
    """Run the level to its end. `on_start` gets the run, to watch it."""
    run = LevelRun(level, began=time.time(), zero=clock.now())
    on_start(run)
    cpu = time.process_time()
    if level.arrivals is None:
        await _closed(run, sender, supplier, clock)
    else:
        await _open(run, level.arrivals, sender, supplier, clock)
    run.seconds = clock.now() - run.zero
    run.own_cpu_seconds = time.process_time() - cpu
    run.records.sort(key=lambda record: record.index)
    return run


async def _closed(run: LevelRun, sender: Sender, supplier: Supplier, clock: Clock) -> None:
    """So many workers; each is due to send again when its answer has ended."""
    level = run.level
    numbers = count() if level.requests is None else iter(range(level.requests))

    async def worker() -> None:
        for index in numbers:
            due = clock.now() - run.zero
            if level.seconds is not None and due >= level.seconds:
                return
            await _send_one(run, index, due, sender, supplier)

    async with asyncio.TaskGroup() as group:
        for _ in range(level.concurrency or 1):
            group.create_task(worker())


async def _open(
    run: LevelRun, arrivals: Arrivals, sender: Sender, supplier: Supplier, clock: Clock
) -> None:
    """Send each request when it is due, whatever has become of the ones before."""
    level = run.level
    gate = asyncio.Semaphore(level.most_at_once) if level.most_at_once else None
    tasks: set[asyncio.Task[None]] = set()
    failures: list[BaseException] = []

    def ended(task: asyncio.Task[None]) -> None:
        tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            failures.append(error)

    async def one(index: int, due: float) -> None:
        if gate is None:
            await _send_one(run, index, due, sender, supplier)
            return
        async with gate:
            await _send_one(run, index, due, sender, supplier)

    try:
        for index, due in enumerate(arrivals.times()):
            if level.requests is not None and index >= level.requests:
                break
            if level.seconds is not None and due >= level.seconds:
                break
            if (wait := run.zero + due - clock.now()) > 0:
                await clock.sleep(wait)
            if failures:
                break
            task = asyncio.create_task(one(index, due))
            tasks.add(task)
            task.add_done_callback(ended)
        while tasks:
            await asyncio.wait(set(tasks))
    finally:
        for task in tasks:
            task.cancel()
    if failures:
        raise failures[0]


async def _send_one(
    run: LevelRun, index: int, due: float, sender: Sender, supplier: Supplier
) -> None:
    record = RequestRecord(index, due)
    request, record.prepared_late = await supplier.take(index)
    run.in_flight += 1
    try:
        await sender.send(request, record, run.zero)
    finally:
        run.in_flight -= 1
    run.records.append(record)
