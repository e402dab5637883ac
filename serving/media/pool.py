"""Worker processes for media: a fair queue before them, and nothing that one file can break.

A thread per worker hands over one job at a time and waits for the answer with the GIL released. A
worker that crashes or takes too long is replaced, and only its job fails; so is one whose caller
has left.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sensorium.serving.media.buffer import SharedBuffer
from sensorium.serving.media.content import Content
from sensorium.serving.media.handover import SentFile, receive, receive_content, receive_file
from sensorium.serving.media.work import work

__all__ = ["Answer", "MediaPool", "MediaWorkError", "PoolOptions", "Reply"]

# From a worker's question to what it is told.
Reply = Callable[[dict[str, Any]], Any]
_PRELOADED: Final = ["sensorium.serving.media.preload"]
# Seconds between looks at whether somebody still waits for the job in hand.
_LOOK: Final = 0.5


class MediaWorkError(ValueError):
    """A file that could not be made into what the model takes; the message says why.

    `about` is what the worker's refusal named (`MediaRefusedError`), "" where it broke down.
    """

    def __init__(self, message: str, about: str = "") -> None:
        super().__init__(message)
        self.about = about


@dataclass(frozen=True)
class PoolOptions:
    """`workers` processes, `seconds` for one job; full when so many jobs or bytes wait."""

    workers: int = 2
    waiting: int = 1024
    waiting_bytes: int = 512 << 20
    seconds: float = 20.0


@dataclass(frozen=True)
class Answer:
    """A worker's answer: its header, the raw bytes, and the seconds the job had waited.

    Jobs that write a file answer with `file` and no bytes.
    """

    header: dict[str, Any]
    content: Content
    waited: float
    file: SentFile | None = None


@dataclass(eq=False)
class _Job:
    owner: str
    header: dict[str, Any]
    content: Content
    future: asyncio.Future[Answer]
    loop: asyncio.AbstractEventLoop
    reply: Reply | None = None
    asked: float = field(default_factory=time.monotonic)


class _FairQueue:
    """First come first served among a request's jobs, turn by turn among requests."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, deque[_Job]] = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False
        self.count = 0
        self.bytes = 0

    def put(self, job: _Job) -> None:
        """Add a job."""
        with self._changed:
            self._jobs.setdefault(job.owner, deque()).append(job)
            self.count += 1
            self.bytes += len(job.content)
            self._changed.notify()

    def discard(self, job: _Job) -> None:
        """Take a job out that nobody waits for any longer, if it is still here."""
        with self._changed:
            jobs = self._jobs.get(job.owner)
            if jobs is None or job not in jobs:
                return
            jobs.remove(job)
            if not jobs:
                del self._jobs[job.owner]
            self.count -= 1
            self.bytes -= len(job.content)

    def take(self) -> _Job | None:
        """The next job, or None once the queue is closed."""
        with self._changed:
            while not self._jobs and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            owner, jobs = self._jobs.popitem(last=False)
            job = jobs.popleft()
            if jobs:
                self._jobs[owner] = jobs  # to the end of the round
            self.count -= 1
            self.bytes -= len(job.content)
            return job

    def close(self) -> list[_Job]:
        """Let nobody wait any longer; the jobs that were waiting."""
        with self._changed:
            self._closed = True
            left = [job for jobs in self._jobs.values() for job in jobs]
            self._jobs.clear()
            self._changed.notify_all()
        return left


class MediaPool:
    """The workers of one server. `start` may be called from any thread, `run` from any loop."""

    def __init__(self, options: PoolOptions | None = None) -> None:
        self.options = options or PoolOptions()
        self.replaced = 0
        self._queue = _FairQueue()
        self._workers: list[_Worker] = []

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
        return [worker.pid for worker in self._workers if worker.pid is not None]

    def start(self) -> None:
        """Start the workers, once; returns at once, they get ready by themselves."""
        if self._workers:
            return
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_PRELOADED)
        self._workers = [_Worker(self, self._queue, context) for _ in range(self.options.workers)]
        for worker in self._workers:
            worker.start()

    async def run(
        self,
        owner: str,
        header: dict[str, Any],
        content: Content,
        reply: Reply | None = None,
    ) -> Answer:
        """Have a worker do a job; `owner` is the request, among which turns are taken.

        `reply` answers what the worker asks on the way, in a thread. Raises MediaWorkError for a
        file that cannot be used. A caller that is cancelled gives up its place, or its worker.
        """
        loop = asyncio.get_running_loop()
        job = _Job(owner, header, content, loop.create_future(), loop, reply)
        self._queue.put(job)
        try:
            return await job.future
        except asyncio.CancelledError:
            self._queue.discard(job)
            raise

    def close(self) -> None:
        """End the workers; jobs that wait fail."""
        for job in self._queue.close():
            _settle(job, MediaWorkError("the server is stopping"))
        for worker in self._workers:
            worker.end()


class _Worker(threading.Thread):
    """One process and the thread that feeds it."""

    def __init__(self, pool: MediaPool, queue: _FairQueue, context: Any) -> None:
        super().__init__(name="media-worker", daemon=True)
        self._pool = pool
        self._queue = queue
        self._context = context
        self._process: Any = None
        self._connection: Any = None
        self._buffer: Any = None

    def run(self) -> None:
        """Do jobs until the queue is closed."""
        self._start_process()  # so that the first job does not wait for it
        while (job := self._queue.take()) is not None:
            if not job.future.done():
                _settle(job, self._do(job))

    @property
    def pid(self) -> int | None:
        """The process, None where it has not started."""
        return None if self._process is None else self._process.pid

    def end(self) -> None:
        """End the process."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()

    def _do(self, job: _Job) -> Answer | MediaWorkError:
        began = time.monotonic()
        seconds = self._pool.options.seconds
        content: Content = b""
        file = None
        try:
            if self._process is None:
                self._start_process()
            self._give(job)
            while self._answers(job, began + seconds):
                header = receive(self._connection)
                if "question" not in header:
                    break
                reply = json.dumps(_reply(job, header["question"])).encode()
                self._connection.send_bytes(reply)
            else:
                if job.future.cancelled():
                    self._drop()
                    return MediaWorkError("nobody waits for it any more")
                return self._replace(f"took more than {seconds:g} s to decode")
            if header.get("file"):
                file = receive_file(self._connection)
            else:
                content = receive_content(self._connection, self._buffer, header)
        # What a worker sends is not trusted: that it makes no sense is as good as a breakdown.
        except (EOFError, OSError, ValueError, RuntimeError):
            return self._replace("the decoder broke down over it")
        if "error" in header:
            return MediaWorkError(str(header["error"]), str(header.get("about", "")))
        return Answer(header, content, waited=began - job.asked, file=file)

    def _answers(self, job: _Job, deadline: float) -> bool:
        """Wait for the worker's next message: whether it comes in time, and is still wanted."""
        while (left := deadline - time.monotonic()) > 0 and not job.future.cancelled():
            if self._connection.poll(min(left, _LOOK)):
                return True
        return False

    def _start_process(self) -> None:
        ours, theirs = self._context.Pipe()
        self._process = self._context.Process(
            target=work, args=(theirs,), name="sensorium-media", daemon=True
        )
        self._process.start()
        theirs.close()
        self._connection = ours
        # A new one for each: a process that was killed a moment ago may still write.
        self._buffer = SharedBuffer.shared_by(ours)

    def _give(self, job: _Job) -> None:
        """Send a job to the process."""
        buffered = self._buffer.files.put(job.content)
        self._connection.send_bytes(json.dumps({**job.header, "buffered": buffered}).encode())
        if buffered is None:
            self._connection.send_bytes(job.content)

    def _drop(self) -> None:
        """End the process; the next job starts another."""
        self.end()
        self._process = None

    def _replace(self, reason: str) -> MediaWorkError:
        self._drop()
        self._pool.replaced += 1
        return MediaWorkError(reason)


def _reply(job: _Job, question: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"answer": job.reply(question) if job.reply else None}
    except Exception as error:  # noqa: BLE001 (rules of sampling stumble over odd files)
        return {"error": str(error)[:300] or type(error).__name__}


def _settle(job: _Job, outcome: Answer | MediaWorkError) -> None:
    def settle() -> None:
        if job.future.done():
            return
        if isinstance(outcome, Answer):
            job.future.set_result(outcome)
        else:
            job.future.set_exception(outcome)

    with contextlib.suppress(RuntimeError):  # the loop has ended, and whoever waited with it
        job.loop.call_soon_threadsafe(settle)
