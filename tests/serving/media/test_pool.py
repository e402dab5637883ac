"""The media pool: turns, deadlines, and workers that break."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sensorium.serving.media.channel import Channel
from sensorium.serving.media.pool import MediaPool, MediaWorkError, PoolOptions
from sensorium.serving.media.worker import Job, Worker

pytest.importorskip("torch", reason="an engine extra brings it")
HEADER = {"kind": "image", "max_pixels": 1 << 30, "exact": True, "mode": "RGB", "background": []}


def png(edge: int, colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (edge, edge), colour).save(buffer, "PNG")
    return buffer.getvalue()


QUICK, SLOW = png(8), png(6000)


@contextmanager
def pool(workers: int = 1, **options: Any) -> Iterator[MediaPool]:
    running = MediaPool(PoolOptions(workers=workers, **options))
    running.start()
    try:
        asyncio.run(running.run("warm", HEADER, QUICK))
        yield running
    finally:
        running.close()


def test_answers_come_back_whole() -> None:
    with pool() as running:
        answer = asyncio.run(running.run("a", HEADER, png(500, "blue")))
        assert os.getpid() not in running.pids()
        nicer = [os.getpriority(os.PRIO_PROCESS, pid) for pid in running.pids()]
        assert set(nicer) == {min(19, os.getpriority(os.PRIO_PROCESS, 0) + 5)}
        for pid in running.pids():  # the first to go where memory runs out
            assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "1000"
    assert answer.content == b"\x00\x00\xff" * 500 * 500
    assert answer.header["size"] == [500, 500]


async def ended_over_the_first(running: MediaPool, number: int) -> list[Any]:
    """Three jobs; the worker is sent a signal over the first one."""
    (pid,) = running.pids()
    os.kill(pid, signal.SIGSTOP)
    jobs = [asyncio.create_task(running.run("a", HEADER, QUICK)) for _ in range(3)]
    await asyncio.sleep(0.2)
    os.kill(pid, number)
    os.kill(pid, signal.SIGCONT)
    return await asyncio.gather(*jobs, return_exceptions=True)


def test_a_worker_that_dies_fails_its_own_job_only() -> None:
    with pool() as running:
        broken, *others = asyncio.run(ended_over_the_first(running, signal.SIGSEGV))
        assert running.replaced == 1
    assert isinstance(broken, MediaWorkError)
    assert "broke down" in str(broken)
    assert [answer.header["size"] for answer in others] == [[8, 8], [8, 8]]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_whose_worker_was_killed_from_outside_is_tried_again(number: int) -> None:
    with pool() as running:
        answers = asyncio.run(ended_over_the_first(running, number))
        assert running.replaced == 1
    assert [answer.header["size"] for answer in answers] == [[8, 8]] * 3


def test_a_job_whose_workers_are_killed_again_and_again_fails() -> None:
    """As by a kernel that has no memory for it."""
    failed = threading.Event()

    def kill(running: MediaPool) -> None:
        while not failed.is_set():
            for pid in running.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    with pool() as running, ThreadPoolExecutor(1) as threads:
        killing = threads.submit(kill, running)
        try:
            with pytest.raises(MediaWorkError, match="broke down"):
                asyncio.run(running.run("a", HEADER, SLOW))
        finally:
            failed.set()
        killing.result()
        assert asyncio.run(running.run("a", HEADER, QUICK)).header["size"] == [8, 8]


def test_a_worker_that_stalls_is_replaced_at_the_deadline() -> None:
    async def scene(running: MediaPool) -> Any:
        os.kill(running.pids()[0], signal.SIGSTOP)
        with pytest.raises(MediaWorkError, match=r"more than 3 s"):
            await running.run("a", HEADER, QUICK)
        return await running.run("a", HEADER, QUICK)

    with pool(seconds=3) as running:
        assert asyncio.run(scene(running)).header["size"] == [8, 8]
        assert running.replaced == 1


def test_a_worker_that_ended_while_idle_costs_no_job() -> None:
    with pool() as running:
        (pid,) = running.pids()
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.01)
        assert asyncio.run(running.run("a", HEADER, QUICK)).header["size"] == [8, 8]
        assert running.replaced == 1
        assert running.pids() != [pid]


def test_a_loop_that_ends_leaves_its_workers_to_others() -> None:
    """Its callers are cancelled over their jobs, and while they wait."""

    async def leave(running: MediaPool) -> None:
        jobs = [asyncio.create_task(running.run("a", HEADER, SLOW)) for _ in range(5)]
        await asyncio.wait(jobs, timeout=0.05)

    with pool(workers=2) as running:
        for _ in range(3):
            asyncio.run(leave(running))
        assert running.waiting == 0
        assert asyncio.run(running.run("a", HEADER, QUICK)).header["size"] == [8, 8]


def test_loops_in_several_threads_share_it() -> None:
    async def scene(running: MediaPool) -> list[Any]:
        jobs = (running.run("a", HEADER, QUICK) for _ in range(30))
        return [answer.header["size"] for answer in await asyncio.gather(*jobs)]

    with pool(workers=2) as running, ThreadPoolExecutor(4) as threads:
        loops = [threads.submit(asyncio.run, scene(running)) for _ in range(4)]
        assert [loop.result() for loop in loops] == [[[8, 8]] * 30] * 4
        assert running.replaced == 0


def test_a_file_too_large_for_the_buffer_goes_in_memory_of_its_own() -> None:
    buffer = io.BytesIO()
    Image.frombytes("RGB", (2000, 1000), os.urandom(6_000_000)).save(buffer, "BMP")
    with pool() as running:
        answer = asyncio.run(running.run("a", HEADER, buffer.getvalue()))
    assert answer.header["size"] == [2000, 1000]
    assert len(answer.content) == 6_000_000


def test_one_that_cannot_be_handed_over_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the server has no more files to open."""

    def refuse(content: object) -> int:
        raise OSError(24, "Too many open files")

    large = bytes(5 << 20)
    with pool() as running:
        with monkeypatch.context() as without_files:
            without_files.setattr("sensorium.serving.media.worker.of_its_own", refuse)
            with pytest.raises(MediaWorkError, match="broke down"):
                asyncio.run(running.run("a", HEADER, large))
        assert asyncio.run(running.run("a", HEADER, QUICK)).header["size"] == [8, 8]


def test_a_worker_that_asks_without_end_is_out_of_time() -> None:
    """One that somebody has taken over."""
    ours, theirs = Channel.pair()
    worker: Any = object.__new__(Worker)
    worker._channel = Channel(ours, blocking=False)
    asking = Channel(theirs, blocking=True)

    def ask() -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                asking.send({"question": {}})
                asking.receive()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        with pytest.raises(TimeoutError):
            asyncio.run(worker.answer(Job({}, b"", lambda question: 1), 0.3))
    finally:
        worker._channel.close()
        thread.join()
        asking.close()


def test_jobs_fail_when_it_is_closed() -> None:
    async def scene(running: MediaPool) -> list[Any]:
        os.kill(running.pids()[0], signal.SIGSTOP)
        jobs = [asyncio.create_task(running.run("a", HEADER, QUICK)) for _ in range(2)]
        await asyncio.sleep(0.05)
        running.close()
        jobs.append(asyncio.create_task(running.run("a", HEADER, QUICK)))
        return await asyncio.gather(*jobs, return_exceptions=True)

    with pool() as running:
        failed = asyncio.run(scene(running))
        assert [str(error) for error in failed] == ["the server is stopping"] * 3
        assert running.replaced == 0
        assert running.pids() == []


def test_requests_take_turns() -> None:
    """One with many media does not hold up one with a single medium."""
    finished: list[str] = []

    async def job(running: MediaPool, owner: str) -> None:
        await running.run(owner, HEADER, QUICK)
        finished.append(owner)

    async def scene(running: MediaPool) -> None:
        os.kill(running.pids()[0], signal.SIGSTOP)
        many = [asyncio.create_task(job(running, "many")) for _ in range(50)]
        await asyncio.sleep(0)
        single = asyncio.create_task(job(running, "single"))
        await asyncio.sleep(0)
        os.kill(running.pids()[0], signal.SIGCONT)
        await asyncio.gather(single, *many)

    with pool() as running:
        asyncio.run(scene(running))
    assert finished.index("single") <= 2


def test_a_caller_that_leaves_gives_up_its_place() -> None:
    async def scene(running: MediaPool) -> float:
        left = [asyncio.create_task(running.run("b", HEADER, SLOW)) for _ in range(100)]
        await asyncio.sleep(0.05)
        for task in left:
            task.cancel()
        began = time.monotonic()
        await running.run("c", HEADER, QUICK)
        assert running.waiting == 0
        return time.monotonic() - began

    with pool() as running:
        began = time.monotonic()
        asyncio.run(running.run("a", HEADER, SLOW))
        one = time.monotonic() - began
        assert asyncio.run(scene(running)) < 30 * one


def test_says_when_too_much_waits() -> None:
    async def scene(running: MediaPool) -> tuple[bool, bool]:
        before = running.full
        os.kill(running.pids()[0], signal.SIGSTOP)
        tasks = [asyncio.create_task(running.run("a", HEADER, QUICK)) for _ in range(5)]
        await asyncio.sleep(0.05)
        during = running.full
        os.kill(running.pids()[0], signal.SIGCONT)
        await asyncio.gather(*tasks)
        return before, during

    with pool(waiting=3) as running:
        assert asyncio.run(scene(running)) == (False, True)


def test_a_file_that_is_no_image_is_an_error_with_words() -> None:
    with pool() as running, pytest.raises(MediaWorkError, match="not an image in a format"):
        asyncio.run(running.run("a", HEADER, b"<svg/>"))


def test_pixels_are_counted_before_they_are_decoded() -> None:
    header = {**HEADER, "max_pixels": 35_999_999}
    with pool() as running, pytest.raises(MediaWorkError, match="6000x6000 pixels, 36,000,000"):
        asyncio.run(running.run("a", header, SLOW))
