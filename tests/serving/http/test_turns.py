"""Who comes when in turns of the event loop."""

from __future__ import annotations

import asyncio
import time

from sensorium.serving.http.turns import OneATurn, Pauses


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


async def go(gate: OneATurn, log: Log, name: str) -> None:
    await gate.turn()
    log.entries.append(name)


async def test_one_a_turn_in_the_order_they_came() -> None:
    gate, log = OneATurn(), Log()
    await asyncio.gather(*(go(gate, log, name) for name in "abcd"))
    assert log.turns() == [["a"], ["b"], ["c"], ["d"]]


async def test_a_turn_that_is_free_is_had_at_once() -> None:
    gate = OneATurn()
    for _ in range(3):
        # No turn of the loop goes by: what has to wait is not done after one step.
        step = gate.turn().__await__()
        assert next(step, None) is None
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_who_gives_up_takes_no_turn() -> None:
    gate, log = OneATurn(), Log()
    tasks = [asyncio.create_task(go(gate, log, name)) for name in "abcd"]
    await asyncio.sleep(0)
    tasks[1].cancel()
    tasks[2].cancel()
    await asyncio.wait(tasks)
    await go(gate, log, "e")
    assert log.turns() == [["a"], ["d"], ["e"]]


async def test_what_else_is_ready_runs_between() -> None:
    gate, log = OneATurn(), Log()

    async def others() -> None:
        for _ in range(10):
            log.entries.append("other")
            await asyncio.sleep(0)

    await asyncio.gather(*(go(gate, log, name) for name in "abc"), others())
    passed = [turn for turn in log.turns() if turn != ["other"]]
    assert [sorted(turn) for turn in passed] == [[name, "other"] for name in "abc"]


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
