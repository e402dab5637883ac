"""Runs the rows of a batch: a window of them in flight, each answered once, each answer on disk.

    reader (a thread) -> queue -> workers -> queue -> writer (a thread; one fsync for all that wait)

Every queue is bounded, so memory does not grow with the input. A row is finished when the writer
has it on the disk. A row that was begun and not finished is simply done again by the next run.
"""

from __future__ import annotations

import asyncio
import csv
import heapq
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from sensorium.serving.batch.errors import BatchStoppedError, RefusedError, ServerGoneError
from sensorium.serving.batch.journal import Journal
from sensorium.serving.batch.lines import Finished, finish_with_problem, finish_with_reply
from sensorium.serving.batch.media import MediaFiles, MediaProblemError
from sensorium.serving.batch.request import Request, prepare
from sensorium.serving.batch.retry import BUSY_STATUSES, RetryPolicy
from sensorium.serving.batch.rows import Problem, Row
from sensorium.serving.batch.tally import Tally
from sensorium.serving.batch.target import BrokenOffError, Reply, Target, UnreachableError
from sensorium.serving.batch.window import Window

__all__ = ["BatchRunner", "RunOptions"]

_READ_AT_ONCE = 128
_SKIPPED_AT_ONCE = 10_000
_PREPARED_AT_ONCE = 4
_Failure = Reply | UnreachableError | BrokenOffError


@dataclass
class RunOptions:
    """How a batch is run; none of it changes an answer.

    At most `inflight` rows are with the server; their requests take `inflight_bytes` together (one
    that is larger goes alone). Each try gets `timeout` seconds (None: no limit). `lookahead` rows
    are read ahead and the longest sent first, where it is above 0. A server that has answered
    nothing for `patience` seconds may be taken for gone.
    """

    inflight: int = 128
    inflight_bytes: int = 512 << 20
    timeout: float | None = None
    lookahead: int = 0
    patience: float = 10.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)


class BatchRunner:
    """One run over the rows of one batch; `run` may be called once.

    `window` may be resized from outside while the batch runs.
    """

    def __init__(
        self,
        rows: Iterator[Row],
        journal: Journal,
        target: Target,
        files: MediaFiles,
        options: RunOptions,
    ) -> None:
        self.tally = Tally(done=journal.answered, failed=journal.failed)
        self.window = Window(options.inflight)
        self._rows = rows
        self._journal = journal
        self._target = target
        self._files = files
        self._options = options
        self._bytes = Window(options.inflight_bytes)
        self._preparing = asyncio.Semaphore(_PREPARED_AT_ONCE)
        self._stopping = asyncio.Event()
        self._waiting: asyncio.Queue[Row | None] = asyncio.Queue(2 * options.inflight)
        self._finished: asyncio.Queue[Finished | None] = asyncio.Queue(4 * options.inflight)
        self._last_answer = time.monotonic()

    def stop(self) -> None:
        """Begin no more rows; `run` returns once those in flight are finished."""
        self._stopping.set()
        self.window.close()
        self._bytes.close()

    async def run(self) -> bool:
        """Finish every row; False when `stop` came first.

        Raises BatchStoppedError; whatever was finished by then is on the disk.
        """
        writer = asyncio.create_task(self._write())
        asking = asyncio.create_task(self._ask_all())
        tasks = [writer, asking]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not writer.done():
                # Asking has ended, well or not; what it finished is written all the same.
                tasks.append(asyncio.create_task(self._finished.put(None)))
                await asyncio.wait({writer})
            writer.result()
            asking.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return not self._stopping.is_set()

    async def _ask_all(self) -> None:
        tasks = [asyncio.create_task(self._work()) for _ in range(self._options.inflight)]
        tasks.append(asyncio.create_task(self._feed()))
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _feed(self) -> None:
        """Hand rows to the workers, then tell each that there are no more."""
        ahead: list[tuple[int, int, Row]] = []
        while not self._stopping.is_set():
            rows = await asyncio.to_thread(self._read_some)
            if rows is None:
                break
            for row in rows:
                if self._options.lookahead == 0:
                    await self._waiting.put(row)
                    continue
                heapq.heappush(ahead, (-len(str(row.body)), row.number, row))
                if len(ahead) > self._options.lookahead:
                    await self._waiting.put(heapq.heappop(ahead)[2])
        while ahead:
            await self._waiting.put(heapq.heappop(ahead)[2])
        for _ in range(self._options.inflight):
            await self._waiting.put(None)

    def _read_some(self) -> list[Row] | None:
        """The next rows that are not finished yet, maybe none; None at the end of the input."""
        found: list[Row] = []
        seen = 0
        try:
            for row in itertools.islice(self._rows, _SKIPPED_AT_ONCE):
                seen += 1
                if row.number not in self._journal.done:
                    found.append(row)
                    if len(found) == _READ_AT_ONCE:
                        break
        except (OSError, csv.Error) as error:
            raise BatchStoppedError(f"cannot read the input any further: {error}") from error
        return found if seen else None

    async def _work(self) -> None:
        while (row := await self._waiting.get()) is not None:
            if self._stopping.is_set():
                continue
            finished = await self._finish(row)
            if finished is not None:
                await self._finished.put(finished)

    async def _finish(self, row: Row) -> Finished | None:
        """The row's line, or None where the stop came first."""
        row_id = self._journal.row_id(row.number)
        try:
            if row.problem is not None:
                return finish_with_problem(row_id, row, row.problem)
            async with self._preparing:
                request = await prepare(row, self._files)
                size = len(request.content)
                if not await self._bytes.enter(size):
                    return None
        except MediaProblemError as error:
            return finish_with_problem(row_id, row, error.problem)
        except RecursionError:
            problem = Problem("invalid_body", "the body nests too deeply")
            return finish_with_problem(row_id, row, problem)
        row.body = {}  # the request holds all of it; two copies of a picture are one too many
        try:
            return await self._ask(row_id, row, request)
        finally:
            self._bytes.leave(size)

    async def _ask(self, row_id: str, row: Row, request: Request) -> Finished | None:
        began = time.monotonic()
        for tries in itertools.count(1):
            if not await self.window.enter():
                return None
            try:
                answer = await self._try(request)
            finally:
                self.window.leave()
            if isinstance(answer, Reply) and not self._options.retry.retryable(answer.status):
                self._last_answer = time.monotonic()
                return finish_with_reply(row_id, row, answer)
            if tries > self._options.retry.retries:
                return self._give_up(row_id, row, answer, began)
            self.tally.retries += 1
            retry_after = answer.retry_after if isinstance(answer, Reply) else None
            if await self._pause(self._options.retry.pause(tries, retry_after)):
                return None
        raise AssertionError("count() does not end")

    async def _try(self, request: Request) -> _Failure:
        try:
            reply = await self._target.send(
                request.url, request.content, request.content_type, seconds=self._options.timeout
            )
        except (UnreachableError, BrokenOffError) as error:
            self._check_alive()
            return error
        if reply.status in {401, 403}:
            raise RefusedError(f"the server refuses us: {_words(reply)}")
        if reply.status >= 500:
            self._check_alive()
        return reply

    def _check_alive(self) -> None:
        if (reason := self._target.dead()) is not None:
            raise ServerGoneError(f"the engine has stopped: {reason}")

    def _give_up(self, row_id: str, row: Row, failure: _Failure, began: float) -> Finished:
        """An error row, unless nothing at all was answered in the second half of its tries.

        (In the first half, rows may still have been answered that were asked before the outage.)
        """
        busy = isinstance(failure, UnreachableError) or (
            isinstance(failure, Reply) and failure.status in BUSY_STATUSES
        )
        now = time.monotonic()
        seconds = now - self._last_answer
        gone = seconds >= self._options.patience and self._last_answer < (began + now) / 2
        if busy and gone:
            said = _words(failure) if isinstance(failure, Reply) else str(failure)
            raise ServerGoneError(f"no request was answered for {seconds:.0f} s: {said}")
        if isinstance(failure, Reply):
            return finish_with_reply(row_id, row, failure)
        return finish_with_problem(row_id, row, Problem("connection_error", str(failure)))

    async def _pause(self, seconds: float) -> bool:
        """Wait; True when the stop came meanwhile."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _write(self) -> None:
        ended = False
        while not ended:
            taken = [await self._finished.get()]
            while not self._finished.empty():
                taken.append(self._finished.get_nowait())
            rows = [row for row in taken if row is not None]
            ended = len(rows) < len(taken)
            if rows:
                await asyncio.to_thread(
                    self._journal.append,
                    [row.line for row in rows if row.answered],
                    [row.line for row in rows if not row.answered],
                )
                for row in rows:
                    self.tally.count(row)


def _words(reply: Reply) -> str:
    return f"HTTP {reply.status}: {reply.body[:300].decode('utf-8', 'replace').strip()}"
