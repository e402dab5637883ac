"""Runs every load against both servers in turns, A B, B A, A B, and keeps each round."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sensorium.benchmarks.client.calibrate import words_per_token
from sensorium.benchmarks.client.http import open_http
from sensorium.benchmarks.compare.rows import Row
from sensorium.benchmarks.compare.servers import RunningServer, Side, start
from sensorium.benchmarks.load.runner import Level
from sensorium.benchmarks.measure.level import LevelResult, measure_level
from sensorium.benchmarks.output.display import Display
from sensorium.benchmarks.session import Plan, run_level_once, warm_up
from sensorium.benchmarks.workload.supply import Supply
from sensorium.benchmarks.workload.wire import DataWire
from sensorium.benchmarks.workload.workload import Workload

__all__ = ["Cell", "Schedule", "run_rounds"]

_PREPARED_BYTES = 1 << 30
_LEAST_REQUESTS = 16


@dataclass(frozen=True)
class Schedule:
    """What to run. `requests` are those of a cell for each request under way at once."""

    sides: tuple[Side, ...]
    rows: tuple[Row, ...]
    concurrency: tuple[int, ...]
    rounds: int = 4
    requests: int = 4
    seed: int = 0
    one_at_a_time: bool = False


@dataclass(frozen=True)
class Cell:
    """One load against one server in one round."""

    row: str
    concurrency: int
    round: int
    side: str
    result: LevelResult


@dataclass(frozen=True)
class _Step:
    row: Row
    concurrency: int
    round: int
    side: Side


def steps(schedule: Schedule) -> Iterator[_Step]:
    """Every cell in the order it is run; each round has the sides in the reverse of the last.

    Where only one server can be up, a round has all loads of one side before the next one's.
    """
    loads = [(row, at_once) for row in schedule.rows for at_once in schedule.concurrency]
    if schedule.one_at_a_time:
        for number in range(schedule.rounds):
            for side in _order(schedule, number):
                yield from (_Step(row, at_once, number, side) for row, at_once in loads)
        return
    for row, at_once in loads:
        for number in range(schedule.rounds):
            yield from (_Step(row, at_once, number, side) for side in _order(schedule, number))


def _order(schedule: Schedule, number: int) -> Sequence[Side]:
    return schedule.sides if number % 2 == 0 else schedule.sides[::-1]


class _Servers:
    """Starts servers when they are wanted, and stops the others where only one may be up."""

    def __init__(self, folder: Path, say: Callable[[str], None], alone: bool) -> None:
        self._folder = folder
        self._say = say
        self._alone = alone
        self._running: dict[str, RunningServer] = {}
        self.starts: list[tuple[str, float, int]] = []

    def get(self, side: Side) -> RunningServer:
        if side.name not in self._running:
            if self._alone:
                self.stop()
            self._say(f"starting {side.name}")
            server = start(side, self._folder)
            self._running[side.name] = server
            self.starts.append((side.name, server.ready_seconds, server.memory_bytes))
        return self._running[side.name]

    def stop(self) -> None:
        for server in self._running.values():
            server.stop()
        self._running.clear()


async def run_rounds(
    schedule: Schedule, folder: Path, tell: Callable[[Cell], None]
) -> tuple[list[Cell], list[tuple[str, float, int]]]:
    """All cells, and the starts of servers as (side, seconds to ready, bytes of memory).

    `tell` gets each cell as it is done.
    """
    display = Display(sys.stderr)
    servers = _Servers(folder, display.note, schedule.one_at_a_time)
    cells: list[Cell] = []
    words: float | None = None
    warm: set[tuple[str, str]] = set()
    try:
        if not schedule.one_at_a_time:
            for side in schedule.sides:
                servers.get(side)
        for step in steps(schedule):
            server = servers.get(step.side)
            if words is None:
                words = await _words_per_token(server.url, step.row)
            key = (step.row.name, server.url)
            cell = await _run_cell(schedule, step, server, words, key not in warm)
            warm.add(key)
            cells.append(cell)
            display.clear()
            tell(cell)
    finally:
        servers.stop()
    return cells, servers.starts


async def _words_per_token(url: str, row: Row) -> float:
    async with open_http(url, None, 600.0) as http:
        return await words_per_token(http, row.workload) or row.workload.words_per_token


async def _run_cell(
    schedule: Schedule, step: _Step, server: RunningServer, words: float, cold: bool
) -> Cell:
    # The same for both sides, another for every cell: neither server has seen these requests.
    name = f"{schedule.seed}/{step.row.name}/{step.concurrency}/{step.round}"
    seed = zlib.crc32(name.encode())
    settings = replace(step.row.workload, seed=seed, words_per_token=words)
    count = step.row.longer * max(_LEAST_REQUESTS, schedule.requests * step.concurrency)
    level = Level(concurrency=step.concurrency, requests=count)
    plan = Plan(server.url, None, settings, (level,), warmup=4 if cold else 0)
    display = Display(sys.stderr)
    async with open_http(server.url, None, plan.timeout_seconds) as http:
        await warm_up(plan, settings, DataWire(), http, display)
        supply = Supply(Workload(settings, DataWire()), _PREPARED_BYTES)
        run, side = await run_level_once(plan, level, supply, http, display)
    result = measure_level(run, {}, side, seed=seed)
    return Cell(step.row.name, step.concurrency, step.round, step.side.name, result)
