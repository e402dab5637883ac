"""Closed and open loops, in virtual time: every figure is exact."""

from __future__ import annotations

import asyncio

import pytest

from sensorium.benchmarks.client.request import PreparedRequest
from sensorium.benchmarks.load.arrivals import Arrivals
from sensorium.benchmarks.load.runner import Level, LevelRun, run_level
from sensorium.benchmarks.load.sweep import Climb, is_saturated
from sensorium.benchmarks.measure.record import RequestRecord
from tests.benchmarks.virtual_time import VirtualClock, run_virtual


class Supplier:
    """Empty requests."""

    async def take(self, index: int) -> tuple[PreparedRequest, bool]:
        return PreparedRequest("/", b""), False


class Server:
    """Answers `service` seconds after it has time; at most `places` at once.

    Nothing is answered in the `stall` (from, until).
    """

    def __init__(
        self, service: float, places: int = 1_000, stall: tuple[float, float] = (0.0, 0.0)
    ) -> None:
        self._service = service
        self._places = asyncio.Semaphore(places)
        self._stall = stall
        self.most = self.now = 0

    async def send(self, request: PreparedRequest, record: RequestRecord, zero: float) -> None:
        loop = asyncio.get_running_loop()
        record.sent = loop.time() - zero
        self.now += 1
        self.most = max(self.most, self.now)
        async with self._places:
            await asyncio.sleep(self._service)
            if self._stall[0] <= loop.time() - zero < self._stall[1]:
                await asyncio.sleep(self._stall[1] - (loop.time() - zero))
        self.now -= 1
        record.ended = loop.time() - zero
        record.events = [record.ended]


def run(level: Level, server: Server) -> LevelRun:
    """Run in virtual time."""
    return run_virtual(run_level(level, server, Supplier(), clock=VirtualClock()))


class TestClosedLoop:
    def test_keeps_so_many_under_way_and_no_more(self) -> None:
        server = Server(0.5)
        done = run(Level(concurrency=4, requests=20), server)
        assert server.most == 4
        assert len(done.records) == 20
        assert done.seconds == pytest.approx(2.5)
        assert [record.index for record in done.records] == list(range(20))

    def test_stops_sending_when_its_time_is_over_and_waits_for_the_rest(self) -> None:
        done = run(Level(concurrency=2, seconds=1.2), Server(0.5))
        assert len(done.records) == 6
        assert done.seconds == pytest.approx(1.5)

    def test_a_request_is_due_when_the_one_before_has_ended(self) -> None:
        done = run(Level(concurrency=1, requests=3), Server(0.5))
        assert [record.intended for record in done.records] == pytest.approx([0.0, 0.5, 1.0])
        assert [record.send_lag for record in done.records] == [0.0, 0.0, 0.0]


class TestOpenLoop:
    def test_sends_on_time_however_slow_the_answers(self) -> None:
        level = Level(arrivals=Arrivals(10.0, "constant"), requests=30)
        done = run(level, Server(100.0))
        assert [record.sent for record in done.records] == pytest.approx(
            [i / 10 for i in range(30)]
        )

    def test_a_stall_is_seen_by_every_request_that_was_due_in_it(self) -> None:
        """The error of coordinated omission is to see one slow request where there were ten."""
        server = Server(0.01, stall=(1.0, 2.0))
        done = run(Level(arrivals=Arrivals(10.0, "constant"), seconds=3.0), server)
        waits = [record.e2e for record in done.records if 1.0 <= record.intended < 1.95]
        assert waits == pytest.approx([2.0 - 1.0 - i / 10 for i in range(10)], abs=0.011)
        others = [r.e2e for r in done.records if r.intended < 0.95 or r.intended > 2.0]
        assert others == pytest.approx([0.01] * len(others))

    def test_a_queue_in_the_server_counts_from_the_due_time(self) -> None:
        done = run(Level(arrivals=Arrivals(4.0, "constant"), requests=8), Server(0.5, places=1))
        assert [r.e2e for r in done.records] == pytest.approx([0.5 + 0.25 * i for i in range(8)])

    def test_what_is_held_back_is_late_and_says_so(self) -> None:
        level = Level(arrivals=Arrivals(4.0, "constant"), requests=8, most_at_once=1)
        server = Server(0.5)
        done = run(level, server)
        assert server.most == 1
        assert [r.send_lag for r in done.records] == pytest.approx([0.25 * i for i in range(8)])
        assert [r.e2e for r in done.records] == pytest.approx([0.5 + 0.25 * i for i in range(8)])

    def test_a_failure_of_the_tool_ends_the_run(self) -> None:
        class Broken(Server):
            async def send(self, request: object, record: object, zero: float) -> None:
                raise RuntimeError("a fault of ours")

        with pytest.raises(RuntimeError, match="a fault of ours"):
            run(Level(arrivals=Arrivals(10.0), requests=10), Broken(0.0))


class TestSweep:
    def test_doubles_until_the_server_is_full(self) -> None:
        climb = Climb(Level(arrivals=Arrivals(1.0, "constant"), seconds=20.0))
        rates = []
        for level in climb.levels():
            assert level.arrivals is not None
            rates.append(level.arrivals.rate)
            climb.add(run(level, Server(0.2, places=1)))
        assert rates == [1.0, 2.0, 4.0, 8.0]

    def test_a_closed_loop_is_full_when_more_at_once_brings_no_more_answers(self) -> None:
        runs = [run(Level(concurrency=n, seconds=10.0), Server(0.1, places=2)) for n in (1, 2, 4)]
        assert not is_saturated(runs[:1])
        assert not is_saturated(runs[:2])
        assert is_saturated(runs)
