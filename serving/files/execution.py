"""One batch of the API from validation to its output files; every step may be done again.

data/batches/ID/lock          held by the process that works on it
data/batches/ID/answers.jsonl, errors.jsonl     the journal, which becomes the output files
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sensorium.serving.batch.bodies import RowMaker
from sensorium.serving.batch.journal import Journal
from sensorium.serving.batch.jsonl import read_jsonl
from sensorium.serving.batch.lines import finish_with_problem
from sensorium.serving.batch.media import MediaFiles, MediaProblemError
from sensorium.serving.batch.rows import FORM_ENDPOINTS, Problem
from sensorium.serving.batch.runner import BatchRunner, RunOptions
from sensorium.serving.batch.target import Target
from sensorium.serving.files.batch_table import BatchRecord, BatchTable
from sensorium.serving.files.limits import FileLimits
from sensorium.serving.files.store import FileStore
from sensorium.serving.files.validation import validate

__all__ = ["Execution", "locked_batch"]

_LINES_AT_ONCE = 1000
_EXPIRED = Problem(
    "batch_expired",
    "This request could not be executed before the completion window expired.",
)
_CANCELLED = Problem(
    "batch_cancelled", "This request was not executed because the batch was cancelled."
)


class StoredSounds(MediaFiles):
    """What rows may name instead of a path: files that were uploaded."""

    def __init__(self, store: FileStore) -> None:
        super().__init__(None)
        self._store = store

    def locate(self, text: str, param: str | None = None) -> Path:
        """The content of the file of that id."""
        path = self._store.path(text)
        if path is None:
            raise MediaProblemError("file_not_found", f"No such File object: {text[:100]}", param)
        return path


@contextlib.contextmanager
def locked_batch(folder: Path) -> Iterator[bool]:
    """Whether this process may work on the batch in `folder`; a killed one gives the lock back."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        yield False
        return
    try:
        yield True
    finally:
        os.close(descriptor)


class Execution:
    """Works on one batch whose lock is held; `runner` is there while rows are asked.

    At most `inflight` rows are asked at once. `began` is called when it begins to ask rows,
    `counted` with the numbers of rows that were answered and that failed since the last call.
    """

    def __init__(
        self,
        record: BatchRecord,
        folder: Path,
        table: BatchTable,
        store: FileStore,
        limits: FileLimits,
        *,
        inflight: int,
        began: Callable[[], None],
        counted: Callable[[int, int], None],
    ) -> None:
        self.record = record
        self.runner: BatchRunner | None = None
        self._seen = (0, 0)
        self._folder = folder
        self._table = table
        self._store = store
        self._limits = limits
        self._inflight = inflight
        self._began = began
        self._counted = counted

    async def run(self, target: Target, models: list[str]) -> None:
        """Do all that is left, or what is possible before `runner.stop` is called.

        Raises BatchStoppedError where the server itself is the trouble; the batch goes on later.
        """
        if self.record.status == "validating":
            await self._validate(models)
        if self.record.status == "in_progress":
            await self._ask(target)
        if self.record.status in {"finalizing", "cancelling"}:
            await self._finalize()
        if self.record.status not in {"validating", "in_progress"}:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def _input(self) -> Path | None:
        """The input, by a link of our own: clients may delete a file once its batch has begun."""
        own = self._folder / "input.jsonl"
        uploaded = self._store.path(self.record.input_file_id)
        if not own.exists() and uploaded is not None:
            with contextlib.suppress(FileNotFoundError):
                os.link(uploaded, own)
        return own if own.exists() else None

    async def _validate(self, models: list[str]) -> None:
        path = self._input()
        if path is None:
            await self._fail([_missing(self.record)])
            return
        found = await asyncio.to_thread(
            validate, path, self.record.endpoint, self._limits.batch_rows, models
        )
        if found.errors:
            await self._fail(found.errors)
            return

        def begin(record: BatchRecord) -> None:
            record.model = found.model
            record.counts["total"] = found.rows
            record.enter("in_progress")

        await self._change(begin, ("validating",))

    async def _fail(self, errors: list[dict[str, Any]]) -> None:
        def fail(record: BatchRecord) -> None:
            record.errors = errors
            record.enter("failed")

        await self._change(fail, ("validating", "in_progress"))

    async def _ask(self, target: Target) -> None:
        path = self._input()
        if path is None:
            await self._fail([_missing(self.record)])
            return
        if self._late():
            await self._after_rows(path, complete=False)
            return
        journal = await asyncio.to_thread(self._journal)
        rows = read_jsonl(path, RowMaker(self.record.endpoint), strict=True)
        options = RunOptions(inflight=self._inflight)
        try:
            self.runner = BatchRunner(rows, journal, target, self._files(), options)
            self._seen = self.runner.tally.done, self.runner.tally.failed
            self._began()
            watching = asyncio.create_task(self._watch(self.runner))
            try:
                complete = await self.runner.run()
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
                self._count(self.runner)
        finally:
            self.runner = None
            journal.close()
        await self._after_rows(path, complete)

    async def _after_rows(self, path: Path, complete: bool) -> None:
        current = await self._table.get(self.record.id)
        if current.status == "in_progress" and not complete:
            if not self._late():
                return  # the server is stopping; the batch goes on when it is back
            await asyncio.to_thread(self._write_unreached, path, _EXPIRED)

        def end(record: BatchRecord) -> None:
            if record.status == "in_progress":
                record.out_of_time = not complete
                record.enter("finalizing")

        await self._change(end, ("in_progress", "cancelling"))

    def _files(self) -> MediaFiles:
        return (
            StoredSounds(self._store)
            if self.record.endpoint in FORM_ENDPOINTS
            else MediaFiles(None)
        )

    def _journal(self) -> Journal:
        job = hashlib.sha256(self.record.id.encode()).hexdigest()[:12]
        return Journal(self._folder / "answers.jsonl", self._folder / "errors.jsonl", job)

    def _late(self) -> bool:
        return time.time() >= self.record.times["expires_at"]

    async def _watch(self, runner: BatchRunner) -> None:
        """Write the counts now and then; stop when the batch is cancelled or its time is over."""

        def count(record: BatchRecord) -> None:
            record.counts |= {"completed": runner.tally.done, "failed": runner.tally.failed}

        while True:
            self._count(runner)
            record = await self._table.update(self.record.id, count, only_in=("in_progress",))
            if record.status != "in_progress" or self._late():
                runner.stop()
                return
            await asyncio.sleep(1)

    def _count(self, runner: BatchRunner) -> None:
        done, failed = runner.tally.done, runner.tally.failed
        self._counted(done - self._seen[0], failed - self._seen[1])
        self._seen = done, failed

    def _write_unreached(self, path: Path, problem: Problem) -> None:
        """An error line for every row that was not reached."""
        journal = self._journal()
        try:
            lines: list[bytes] = []
            for row in read_jsonl(path, RowMaker(self.record.endpoint), strict=True):
                if row.number in journal.done:
                    continue
                row_id = journal.row_id(row.number)
                lines.append(finish_with_problem(row_id, row, problem).line)
                if len(lines) == _LINES_AT_ONCE:
                    journal.append([], lines)
                    lines = []
            if lines:
                journal.append([], lines)
        finally:
            journal.close()

    async def _finalize(self) -> None:
        """Make files of the journal, then say that they are there."""
        path = self._input()
        if self.record.status == "cancelling" and self.record.counts["total"] and path is not None:
            await asyncio.to_thread(self._write_unreached, path, _CANCELLED)
        journal = await asyncio.to_thread(self._journal)  # cuts off what a crash has torn
        journal.close()
        counts = {"completed": journal.answered, "failed": journal.failed}
        answers = await self._publish("answers.jsonl", "output") if journal.answered else None
        errors = await self._publish("errors.jsonl", "error") if journal.failed else None

        def end(record: BatchRecord) -> None:
            record.counts |= counts
            record.output_file_id, record.error_file_id = answers, errors
            if record.status == "cancelling":
                record.enter("cancelled")
            else:
                record.enter("expired" if record.out_of_time else "completed")

        await self._change(end, ("finalizing", "cancelling"))

    async def _publish(self, name: str, kind: str) -> str:
        digest = hashlib.sha256(f"{self.record.id} {kind}".encode()).hexdigest()
        file_id = f"file-{digest[:32]}"
        filename = f"{self.record.id}_{kind}.jsonl"
        lifetime = self.record.lifetime or self._limits.retention
        await self._store.adopt(self._folder / name, file_id, filename, "batch_output", lifetime)
        return file_id

    async def _change(
        self, change: Callable[[BatchRecord], None], only_in: tuple[str, ...]
    ) -> None:
        self.record = await self._table.update(self.record.id, change, only_in=only_in)


def _missing(record: BatchRecord) -> dict[str, Any]:
    message = f"The input file {record.input_file_id} is no longer there"
    return {"line": None, "code": "invalid_file", "message": message, "param": "input_file_id"}
