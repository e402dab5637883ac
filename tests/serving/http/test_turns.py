"""Who comes when in turns of the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from sensorium.serving.http.loop_lag import watched_loop
from sensorium.serving.http.turns import Pauses, room


class Log:
    """Notes what happens in which turn of the loop; in each it begins with "turn"."""

    def __init__(self) -> None:
        self.entries: list[str] = []
        self._handle = asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self.entries.append("turn")
        self._handle = asyncio.get_running_loop().call_soon(self._turn)

    def turns(self) -> list[list[str]]:
        """The entries of each turn that has any."""
        self._handle.cancel()
        found: list[list[str]] = [[]]
        for entry in self.entries:
            if entry == "turn":
                found.append([])
            else:
                found[-1].append(entry)
        return [entries for entries in found if entries]


def on_its_loop(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scene on a loop that knows its turns."""
    with asyncio.Runner(loop_factory=lambda: watched_loop(lambda _: None, lambda _: None)) as run:
        run.run(scene())


async def work(log: Log, name: str, seconds: float) -> None:
    await room()
    log.entries.append(name)
    time.sleep(seconds)  # noqa: ASYNC251 (the work)


def test_what_is_long_takes_turns_in_the_order_it_came() -> None:
    async def scene() -> None:
        log = Log()
        await asyncio.gather(*(work(log, name, 0.005) for name in "abcdefghij"))
        assert log.turns() == [[name] for name in "abcdefghij"]

    on_its_loop(scene)


def test_what_is_short_shares_one() -> None:
    async def scene() -> None:
        log = Log()
        await asyncio.gather(*(work(log, name, 0) for name in "abcdefghij"))
        turns = log.turns()
        assert [name for turn in turns for name in turn] == list("abcdefghij")
        assert len(turns) <= 4  # one, where the kernel runs nothing else in it

    on_its_loop(scene)


def test_who_comes_later_does_not_go_before() -> None:
    async def scene() -> None:
        log = Log()
        first = [asyncio.create_task(work(log, name, 0.005)) for name in "abcdef"]
        for name in "ghi":
            await asyncio.sleep(0)
            first.append(asyncio.create_task(work(log, name, 0)))
        await asyncio.gather(*first)
        assert "".join(entry for turn in log.turns() for entry in turn) == "abcdefghi"

    on_its_loop(scene)


def test_who_gives_up_holds_up_nobody() -> None:
    async def scene() -> None:
        log = Log()
        tasks = [asyncio.create_task(work(log, name, 0.005)) for name in "abcdefghij"]
        await asyncio.sleep(0)
        for task in tasks[1:9]:
            task.cancel()
        await asyncio.wait(tasks)
        assert log.turns() == [["a"], ["j"]]
        await work(log, "k", 0)

    on_its_loop(scene)


def test_what_else_is_ready_runs_between() -> None:
    async def scene() -> None:
        log = Log()

        async def others() -> None:
            for _ in range(10):
                log.entries.append("other")
                await asyncio.sleep(0)

        await asyncio.gather(*(work(log, name, 0.005) for name in "abc"), others())
        passed = [turn for turn in log.turns() if turn != ["other"]]
        assert [sorted(turn) for turn in passed] == [[name, "other"] for name in "abc"]

    on_its_loop(scene)


async def test_any_other_loop_does_without() -> None:
    log = Log()
    await asyncio.gather(*(work(log, name, 0.005) for name in "ab"))
    assert log.turns() == [["a", "b"]]


async def test_a_pause_lets_others_run_when_it_is_time() -> None:
    log = Log()
    pauses = Pauses()
    for number in range(4):
        log.entries.append(str(number))
        if number % 2:
            time.sleep(0.002)  # noqa: ASYNC251 (the work)
        await pauses.pause()
    turns = log.turns()
    assert [entry for turn in turns for entry in turn] == ["0", "1", "2", "3"]
    assert len(turns) >= 2
