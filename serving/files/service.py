"""Works off the batches of the API, a few at a time, while the server runs.

A batch that was cut off by the end of a process is taken up again by the next one. Several servers
may share a data folder: each works on batches for models it serves, no two on the same one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from sensorium.serving.batch.errors import BatchStoppedError
from sensorium.serving.batch.runner import BatchRunner
from sensorium.serving.batch.target import Target, app_target
from sensorium.serving.errors import SensoriumError
from sensorium.serving.files.batch_table import BatchRecord, BatchTable
from sensorium.serving.files.database import Database
from sensorium.serving.files.execution import Execution, locked_batch
from sensorium.serving.files.limits import FileLimits
from sensorium.serving.files.measures import BatchMetrics
from sensorium.serving.files.store import FileStore
from sensorium.serving.http.load import BATCH_ROW, OnlineLoad
from sensorium.serving.models import ModelTable

__all__ = ["FileService"]

_LOG = logging.getLogger("sensorium")
_POLL_SECONDS = 5.0
_PAUSE_AFTER_TROUBLE = 30.0
_QUIET_SECONDS = 2.0
_BUSY_SHARE = 8  # an eighth of the rows while others ask
_SWEEP_SECONDS = 60.0
# So that a short batch need not wait for a long one.
_AT_ONCE = 4


class FileService:
    """Files and batches of one server, below one data folder."""

    def __init__(
        self, folder: Path, models: ModelTable, load: OnlineLoad, limits: FileLimits | None = None
    ) -> None:
        """OSError where the folder cannot be written."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.limits = limits or FileLimits()
        self._database = Database(folder / "sensorium.sqlite")
        self.store = FileStore(folder, self._database)
        self.table = BatchTable(self._database)
        self.metrics = BatchMetrics(lambda: len(self._executions))
        self._folder = folder / "batches"
        self._models = models
        self._load = load
        self._wake = asyncio.Event()
        self._halted = asyncio.Event()
        self._stopping = False
        self._executions: dict[str, Execution] = {}
        self._swept = -_SWEEP_SECONDS
        self._task: asyncio.Task[None] | None = None
        self._target: Target | None = None
        self._quiet: asyncio.TimerHandle | None = None
        self._busy = False

    def start(self, app: ASGIApp) -> None:
        """Begin to work; rows are sent to `app`, the server's own."""

        async def mark(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, BATCH_ROW: True}, receive, send)

        self._target = app_target(mark, self._dead)
        self._load.listen(self._make_room)
        if self._load.count:
            self._make_room(self._load.count)
        self._task = asyncio.create_task(self._work(self._target))

    def halt(self) -> None:
        """Begin no more rows; what is left is done after a restart."""
        self._stopping = True
        self._halted.set()
        self._wake.set()
        for runner in self._runners():
            runner.stop()

    async def stop(self, seconds: float = 0.0) -> None:
        """Halt, give the rows in flight `seconds`, and let go of everything."""
        self.halt()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=seconds)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._quiet is not None:
            self._quiet.cancel()
        if self._target is not None:
            await self._target.close()
        await self._database.close()

    async def create(self, record: BatchRecord) -> None:
        """Take a new batch."""
        await self.table.add(record)
        self._wake.set()

    async def cancel(self, batch_id: str) -> BatchRecord:
        """Stop a batch; what is finished of it is kept. A batch that has ended stays as it is."""
        record = await self.table.update(
            batch_id, lambda found: found.enter("cancelling"), only_in=("validating", "in_progress")
        )
        execution = self._executions.get(batch_id)
        if execution is not None and execution.runner is not None:
            execution.runner.stop()
        elif execution is None and record.status == "cancelling" and self._target is not None:
            # It waits for its turn; to be cancelled it need not.
            await self._execute(batch_id, self._target)
        return record

    def _runners(self) -> list[BatchRunner]:
        return [e.runner for e in self._executions.values() if e.runner is not None]

    def _dead(self) -> str | None:
        reasons = (slot.model.dead() for slot in self._models.slots if slot.model is not None)
        return next((reason for reason in reasons if reason is not None), None)

    def _make_room(self, online: int) -> None:
        """Fewer rows while online requests run, all of them again once it has been quiet."""
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
        if online:
            self._set_busy(True)
        else:
            loop = asyncio.get_running_loop()
            self._quiet = loop.call_later(_QUIET_SECONDS, self._set_busy, False)

    def _set_busy(self, busy: bool) -> None:
        self._busy = busy
        self._share()

    def _room(self) -> int:
        """Rows that may be with the engines while nobody else asks."""
        running = (slot.model.at_once for slot in self._models.slots if slot.model is not None)
        return self.limits.inflight or max(1, max(running, default=0) // 2)

    def _share(self) -> None:
        """Give each batch that asks rows its part of the room."""
        runners = self._runners()
        room = self._room() // _BUSY_SHARE if self._busy else self._room()
        for runner in runners:
            runner.window.resize(max(1, room // len(runners)))

    async def _work(self, target: Target) -> None:
        tasks: dict[str, asyncio.Task[None]] = {}
        try:
            while not self._stopping:
                self._wake.clear()
                pause = await self._guarded(self._begin_some(target, tasks))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), pause or _POLL_SECONDS)
            await asyncio.gather(*tasks.values())
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _begin_some(self, target: Target, tasks: dict[str, asyncio.Task[None]]) -> None:
        if time.monotonic() - self._swept >= _SWEEP_SECONDS:
            await self.store.sweep()
            self._swept = time.monotonic()
        for batch_id in [key for key, task in tasks.items() if task.done()]:
            del tasks[batch_id]
        for record in await self.table.unfinished():
            if self._stopping or len(tasks) >= _AT_ONCE:
                return
            if record.id not in tasks and self._is_for_us(record):
                tasks[record.id] = asyncio.create_task(self._one(record.id, target))

    async def _one(self, batch_id: str, target: Target) -> None:
        """Work on a batch; after trouble it keeps its place until it may be tried again."""
        pause = await self._guarded(self._execute(batch_id, target))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._halted.wait(), pause)
        self._wake.set()

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> float:
        """Do a piece of work; the seconds to wait when it met trouble, which is logged."""
        try:
            await work
        except (BatchStoppedError, SensoriumError, OSError) as error:
            _LOG.error("batches: %s; trying again in %g s", error, _PAUSE_AFTER_TROUBLE)
            return _PAUSE_AFTER_TROUBLE
        except Exception:  # noqa: BLE001 - one batch must not end the work on all others
            _LOG.exception("batches: trying again in %g s", _PAUSE_AFTER_TROUBLE)
            return _PAUSE_AFTER_TROUBLE
        return 0.0

    def _is_for_us(self, record: BatchRecord) -> bool:
        served = record.model is None or record.model in self._models.names()
        return served or time.time() >= record.times["expires_at"]

    def _counted(self, done: int, failed: int) -> None:
        self.metrics.rows.labels("answered").inc(done)
        self.metrics.rows.labels("failed").inc(failed)

    async def _execute(self, batch_id: str, target: Target) -> None:
        folder = self._folder / batch_id
        with locked_batch(folder) as ours:
            if not ours:
                return
            # Another process may have finished it since it was looked up.
            record = await self.table.get(batch_id)
            if record.status in {"completed", "failed", "expired", "cancelled"}:
                shutil.rmtree(folder, ignore_errors=True)
                return
            execution = self._executions[batch_id] = Execution(
                record,
                folder,
                self.table,
                self.store,
                self.limits,
                inflight=self._room(),
                began=self._share,
                counted=self._counted,
            )
            try:
                await execution.run(target, self._models.names())
            finally:
                del self._executions[batch_id]
                self._share()
