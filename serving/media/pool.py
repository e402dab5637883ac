"""Worker processes for media: a fair queue before them, and nothing that one file can break.

Whoever has a job waits for a worker, gives it the job and waits for the answer, all in the event
loop. A worker that crashes or takes too long is replaced, and only its job fails; so is one whose
caller has left and that goes on with what nobody waits for. A job whose worker was killed from
outside is tried once more.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import multiprocessing
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sensorium.serving.media.content import Content
from sensorium.serving.media.fair_queue import FairQueue, Place
from sensorium.serving.media.worker import BROKEN, Answer, Job, Reply, Worker

__all__ = ["Answer", "MediaPool", "MediaWorkError", "PoolOptions", "Reply"]

_PRELOADED: Final = ["sensorium.serving.media.preload"]
# Seconds that a worker may go on with a job whose caller has left: a new one costs as much.
_GRACE: Final = 0.5
# Seconds before a worker that could not be started is tried again.
_AGAIN: Final = 1.0
_STOPPING: Final = "the server is stopping"
_log = logging.getLogger(__name__)


class MediaWorkError(ValueError):
    """A file that could not be made into what the model takes; the message says why.

    `about` is what the worker's refusal named (`MediaRefusedError`), "" where it broke down.
    """

    def __init__(self, message: str, about: str = "") -> None:
        super().__init__(message)
        self.about = about


class _KilledError(MediaWorkError):
    """The worker was ended from outside, which need not be the file's fault."""


@dataclass(frozen=True)
class PoolOptions:
    """`workers` processes, `seconds` for one job; full when so many jobs or bytes wait."""

    workers: int = 2
    waiting: int = 1024
    waiting_bytes: int = 512 << 20
    seconds: float = 20.0


@dataclass(eq=False)
class _Waiter:
    """Somebody who waits for a worker, in an event loop."""

    loop: asyncio.AbstractEventLoop
    worker: asyncio.Future[Worker]

    def settle(self, settle: Callable[[asyncio.Future[Worker]], None]) -> bool:
        """Let `settle` do what it does to the future, in its own loop, unless that has ended."""
        with contextlib.suppress(RuntimeError):
            if asyncio.get_running_loop() is self.loop:
                settle(self.worker)
                return True
        try:
            self.loop.call_soon_threadsafe(settle, self.worker)
        except RuntimeError:
            return False
        return True


class MediaPool:
    """The workers of one server. `start` may be called from any thread, `run` from any loop."""

    def __init__(self, options: PoolOptions | None = None) -> None:
        self.options = options or PoolOptions()
        self.replaced = 0
        self._lock = threading.Lock()
        self._queue = FairQueue[_Waiter]()
        self._idle: list[Worker] = []
        self._workers: list[Worker] = []
        self._context: Any = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """Jobs that no worker has begun."""
        return self._queue.count

    @property
    def full(self) -> bool:
        """Whether so much waits that no more requests should be let in."""
        options, queue = self.options, self._queue
        return queue.count >= options.waiting or queue.bytes >= options.waiting_bytes

    def pids(self) -> list[int]:
        """The processes that are at work."""
        return [worker.pid for worker in self._workers]

    def start(self) -> None:
        """Start the workers, once; returns at once, they get ready by themselves."""
        with self._lock:
            if self._context is not None:
                return
            self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOADED)
        for _ in range(self.options.workers):
            self._start_one()

    async def run(
        self, owner: str, header: dict[str, Any], content: Content, reply: Reply | None = None
    ) -> Answer:
        """Have a worker do a job; `owner` is the request, among which turns are taken.

        `reply` answers what the worker asks on the way, in a thread. Raises MediaWorkError for a
        file that cannot be used. A caller that is cancelled gives up its place, or its worker.
        """
        job = Job(header, content, reply)
        try:
            return await self._done(owner, job)
        except _KilledError:
            return await self._done(owner, job)

    async def _done(self, owner: str, job: Job) -> Answer:
        asked = time.monotonic()
        worker = await self._given(owner, job)
        waited = time.monotonic() - asked
        try:
            answer = await worker.answer(job, self.options.seconds)
        except asyncio.CancelledError:
            self._leave(worker)
            raise
        except TimeoutError:
            self._replace(worker)
            words = f"took more than {self.options.seconds:g} s to decode"
            raise MediaWorkError(words) from None
        except BROKEN:
            raise await self._ended(worker) from None
        self._free(worker)
        if "error" in answer.header:
            about = str(answer.header.get("about", ""))
            raise MediaWorkError(str(answer.header["error"]), about)
        return dataclasses.replace(answer, waited=waited)

    def close(self) -> None:
        """End the workers; jobs that wait fail."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            workers, self._workers = self._workers, []
        self._fail_waiting(_STOPPING)
        for worker in workers:
            if worker in idle:
                worker.end()
            else:
                worker.kill()

    async def _given(self, owner: str, job: Job) -> Worker:
        """A worker that has been given the job."""
        while True:
            worker = await self._turn(owner, len(job.content))
            try:
                await worker.give(job)
            except ConnectionError:  # it ended while it had nothing to do: not for this job
                self._replace(worker)
            except BROKEN:
                raise self._broken(worker) from None
            except BaseException:
                self._drop(worker)  # it may be in the middle of a message
                raise
            else:
                return worker

    async def _turn(self, owner: str, size: int) -> Worker:
        """A worker that has nothing to do, when it is the caller's turn."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._closed:
                raise MediaWorkError(_STOPPING)
            if self._idle:
                return self._idle.pop()
            waiter = _Waiter(loop, loop.create_future())
            place = Place(owner, size, waiter)
            self._queue.put(place)
        try:
            return await waiter.worker
        except asyncio.CancelledError:
            with self._lock:
                self._queue.discard(place)
            given = waiter.worker
            if given.done() and not given.cancelled() and given.exception() is None:
                self._free(given.result())
            raise

    def _free(self, worker: Worker) -> None:
        """Give a worker that has nothing to do to whoever is next."""
        while True:
            with self._lock:
                if self._closed:
                    break
                waiter = self._queue.take()
                if waiter is None:
                    self._idle.append(worker)
                    return
            if waiter.settle(lambda future: self._hand(worker, future)):
                return
        worker.end()

    def _hand(self, worker: Worker, future: asyncio.Future[Worker]) -> None:
        if future.done():  # cancelled meanwhile
            self._free(worker)
        else:
            future.set_result(worker)

    def _fail_waiting(self, words: str) -> None:
        def fail(future: asyncio.Future[Worker]) -> None:
            if not future.done():
                future.set_exception(MediaWorkError(words))

        while True:
            with self._lock:
                waiter = self._queue.take()
            if waiter is None:
                return
            waiter.settle(fail)

    def _leave(self, worker: Worker) -> None:
        """Let a worker end a job whose caller has left, if that does not take long.

        In a thread: the caller may have left because his loop ends.
        """

        def leave() -> None:
            (self._free if worker.finishes(_GRACE) else self._drop)(worker)

        threading.Thread(target=leave, name="media-worker-end", daemon=True).start()

    async def _ended(self, worker: Worker) -> MediaWorkError:
        """What a job comes to over which its worker ended, or said what makes no sense."""
        killed = False
        try:
            killed = await asyncio.to_thread(worker.was_killed)
        finally:
            error = self._broken(worker)
        return _KilledError(str(error)) if killed and not self._closed else error

    def _broken(self, worker: Worker) -> MediaWorkError:
        """What a job comes to whose worker broke down, and is replaced."""
        self._replace(worker)
        return MediaWorkError(_STOPPING if self._closed else "the decoder broke down over it")

    def _replace(self, worker: Worker) -> None:
        """Another process for one that broke down."""
        if not self._closed:
            self.replaced += 1
        self._drop(worker)

    def _drop(self, worker: Worker) -> None:
        """End a worker's process, and start another."""
        worker.end()
        with self._lock:
            if worker in self._workers:
                self._workers.remove(worker)
        if not self._closed:
            self._start_one()

    def _start_one(self) -> None:
        threading.Thread(target=self._started, name="media-worker-start", daemon=True).start()

    def _started(self) -> None:
        while not self._closed:
            try:
                worker = Worker(self._context)
            except (OSError, EOFError) as error:
                _log.warning("a process for media could not be started: %s", error)
                self._fail_waiting(f"the server could not start a process for it: {error}")
                time.sleep(_AGAIN)
                continue
            with self._lock:
                self._workers.append(worker)
            self._free(worker)
            return
