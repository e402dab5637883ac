"""Works off the batches of the API, one after the other, while the server runs.

A batch that was cut off by the end of a process is taken up again by the next one. Several servers
may share a data folder: each works on batches for models it serves, no two on the same one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from sensorium.serving.batch.errors import BatchStoppedError
from sensorium.serving.batch.runner import BatchRunner
from sensorium.serving.batch.target import Target, app_target
from sensorium.serving.errors import SensoriumError
from sensorium.serving.files.batch_table import BatchRecord, BatchTable
from sensorium.serving.files.database import Database
from sensorium.serving.files.execution import Execution, locked_batch
from sensorium.serving.files.limits import FileLimits
from sensorium.serving.files.store import FileStore
from sensorium.serving.http.load import BATCH_ROW, OnlineLoad
from sensorium.serving.models import ModelTable

__all__ = ["FileService"]

_LOG = logging.getLogger("sensorium")
_POLL_SECONDS = 5.0
_PAUSE_AFTER_TROUBLE = 30.0
_QUIET_SECONDS = 2.0
_SWEEP_SECONDS = 60.0


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
        self._folder = folder / "batches"
        self._models = models
        self._load = load
        self._wake = asyncio.Event()
        self._stopping = False
        self._executions: dict[str, Execution] = {}
        self._swept = -_SWEEP_SECONDS
        self._task: asyncio.Task[None] | None = None
        self._target: Target | None = None
        self._quiet: asyncio.TimerHandle | None = None
        self._inflight = self.limits.inflight

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
            self._resize(self.limits.busy_inflight)
        else:
            loop = asyncio.get_running_loop()
            self._quiet = loop.call_later(_QUIET_SECONDS, self._resize, self.limits.inflight)

    def _resize(self, inflight: int) -> None:
        self._inflight = min(inflight, self.limits.inflight)
        for runner in self._runners():
            runner.window.resize(self._inflight)

    async def _work(self, target: Target) -> None:
        while not self._stopping:
            self._wake.clear()
            pause = _POLL_SECONDS
            try:
                if time.monotonic() - self._swept >= _SWEEP_SECONDS:
                    await self.store.sweep()
                    self._swept = time.monotonic()
                for record in await self.table.unfinished():
                    if not self._stopping and self._is_for_us(record):
                        await self._execute(record.id, target)
            except (BatchStoppedError, SensoriumError, OSError) as error:
                _LOG.error("batches: %s; trying again in %g s", error, _PAUSE_AFTER_TROUBLE)
                pause = _PAUSE_AFTER_TROUBLE
            except Exception:  # noqa: BLE001 - one batch must not end the work on all others
                _LOG.exception("batches: trying again in %g s", _PAUSE_AFTER_TROUBLE)
                pause = _PAUSE_AFTER_TROUBLE
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)

    def _is_for_us(self, record: BatchRecord) -> bool:
        return record.model is None or record.model in self._models.names()

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
                record, folder, self.table, self.store, self.limits, room=lambda: self._inflight
            )
            try:
                await execution.run(target, self._models.names())
            finally:
                del self._executions[batch_id]
