"""One worker process, as the server sees it: a job is given, and its answer waited for.

The event loop itself waits, with no thread between: a thread that waits beside a busy loop costs
two changes of the interpreter's lock for each message.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sensorium.serving.media.buffer import SharedBuffer
from sensorium.serving.media.channel import Channel
from sensorium.serving.media.content import Content
from sensorium.serving.media.handover import SentFile, decoded, of_its_own
from sensorium.serving.media.work import work

__all__ = ["BROKEN", "Answer", "Job", "Reply", "Worker"]

# What a worker sends is not trusted: that it makes no sense is as good as a breakdown.
BROKEN: Final = (EOFError, OSError, ValueError, RuntimeError)
# What somebody who ends processes sends, or the kernel that runs out of memory; no crash does.
_KILLED: Final = (-signal.SIGKILL, -signal.SIGTERM)
# Seconds until the fork server has told how a process ended.
_NEWS: Final = 1.0
# From a worker's question to what it is told.
Reply = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True, eq=False)
class Job:
    """A header with its `kind` and options, the file, and who answers questions on the way."""

    header: dict[str, Any]
    content: Content
    reply: Reply | None = None


@dataclass(frozen=True)
class Answer:
    """A worker's answer: its header, the raw bytes, and the seconds the job had waited.

    Jobs that write a file answer with `file` and no bytes.
    """

    header: dict[str, Any]
    content: Content
    file: SentFile | None = None
    waited: float = 0.0


class Worker:
    """A process that does one job at a time. Starting it takes a while: for a thread."""

    def __init__(self, context: Any) -> None:
        ours, theirs = Channel.pair()
        with theirs:
            self._process = context.Process(
                target=work, args=(theirs,), name="sensorium-media", daemon=True
            )
            self._process.start()
        self._channel = Channel(ours, blocking=False)
        # A new one for each: a process that was killed a moment ago may still write.
        try:
            self._buffer = SharedBuffer.shared_by(self._channel)
        except OSError:
            self.end()
            raise

    @property
    def pid(self) -> int:
        """The process."""
        return int(self._process.pid)

    async def give(self, job: Job) -> None:
        """Hand a job over.

        Raises ConnectionError where the process has ended, another of `BROKEN` where the job cannot
        be handed over.
        """
        buffered = self._buffer.files.put(job.content)
        if buffered is not None:
            self._channel.send({**job.header, "buffered": buffered})
            return
        descriptor = await asyncio.to_thread(of_its_own, job.content)
        try:
            self._channel.send(job.header, descriptor)
        finally:
            os.close(descriptor)

    async def answer(self, job: Job, seconds: float) -> Answer:
        """What comes of the job that was given.

        Raises TimeoutError after so many seconds, one of `BROKEN` where the process broke down over
        it; who calls then ends it.
        """
        deadline = time.monotonic() + seconds
        while True:
            header, descriptor = await self._message(deadline)
            if "question" not in header:
                found = decoded(self._buffer, header, descriptor)
                if isinstance(found, SentFile):
                    return Answer(header, b"", found)
                return Answer(header, found)
            if descriptor is not None:
                os.close(descriptor)
            reply = await asyncio.to_thread(_reply, job.reply, header["question"])
            try:
                self._channel.send(reply)
            except ValueError as error:  # too long
                self._channel.send({"error": str(error)})

    async def _message(self, deadline: float) -> tuple[dict[str, Any], int | None]:
        while (left := deadline - time.monotonic()) > 0:
            try:
                return self._channel.receive()
            except BlockingIOError:
                await _readable(self._channel.fileno(), left)
        raise TimeoutError  # however many questions it still has

    def finishes(self, seconds: float) -> bool:
        """Whether the job in hand, which nobody wants any more, ends so soon; waits for it."""
        try:
            poll = select.poll()
            poll.register(self._channel, select.POLLIN)
            if not poll.poll(1000 * seconds):
                return False
            header, descriptor = self._channel.receive()
        except BROKEN:
            return False
        if descriptor is not None:
            os.close(descriptor)
        return "question" not in header

    def was_killed(self) -> bool:
        """Whether the process was ended from outside; waits a moment for the news."""
        self._process.join(_NEWS)
        return self._process.exitcode in _KILLED

    def kill(self) -> None:
        """End the process; who waits for its answer gets an EOFError."""
        self._process.kill()

    def end(self) -> None:
        """End the process, and the connection, which nobody may be waiting at."""
        self.kill()
        self._channel.close()


async def _readable(descriptor: int, seconds: float) -> None:
    """Wait until something can be read. Raises TimeoutError after so many seconds."""
    loop = asyncio.get_running_loop()
    readable = loop.create_future()
    loop.add_reader(descriptor, _settle, readable, None)
    late = loop.call_later(seconds, _settle, readable, TimeoutError())
    try:
        await readable
    finally:
        late.cancel()
        loop.remove_reader(descriptor)


def _settle(future: asyncio.Future[None], error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _reply(reply: Reply | None, question: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"answer": reply(question) if reply else None}
    except Exception as error:  # noqa: BLE001 (rules of sampling stumble over odd files)
        return {"error": str(error)[:300] or type(error).__name__}
