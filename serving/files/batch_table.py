"""Batches as the database keeps them: OpenAI's object, and the status it is looked up by."""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sensorium.serving.files.database import Database
from sensorium.serving.files.store import NotFoundError, Page

__all__ = ["UNFINISHED", "BatchRecord", "BatchTable"]

UNFINISHED = ("validating", "in_progress", "finalizing", "cancelling")


@dataclass
class BatchRecord:
    """One batch. `times` holds `created_at`, `expires_at`, `completed_at` and so on (seconds)."""

    id: str
    status: str
    endpoint: str
    input_file_id: str
    completion_window: str
    metadata: dict[str, str] | None
    lifetime: int | None
    model: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    out_of_time: bool = False
    errors: list[dict[str, Any]] | None = None
    counts: dict[str, int] = field(
        default_factory=lambda: {"total": 0, "completed": 0, "failed": 0}
    )
    times: dict[str, int] = field(default_factory=dict)

    @classmethod
    def new(cls, seconds: int, **fields: Any) -> BatchRecord:
        """A batch that is created now and expires after `seconds`."""
        now = int(time.time())
        times = {"created_at": now, "expires_at": now + seconds}
        return cls(id=f"batch_{uuid.uuid4().hex}", status="validating", times=times, **fields)

    def enter(self, status: str) -> None:
        """Go to a status, at this time."""
        self.status = status
        if status != "validating":
            self.times[f"{status}_at"] = int(time.time())

    def as_json(self) -> dict[str, Any]:
        """OpenAI's batch object; what is not known yet is null."""
        stamps = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling")
        times = {f"{name}_at": self.times.get(f"{name}_at") for name in (*stamps, "cancelled")}
        errors = None if self.errors is None else {"object": "list", "data": self.errors}
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "model": self.model,
            "errors": errors,
            "input_file_id": self.input_file_id,
            "completion_window": self.completion_window,
            "status": self.status,
            "output_file_id": self.output_file_id,
            "error_file_id": self.error_file_id,
            "created_at": self.times["created_at"],
            "expires_at": self.times["expires_at"],
            **times,
            "request_counts": dict(self.counts),
            "metadata": self.metadata,
        }


class BatchTable:
    """Reads and writes records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, record: BatchRecord) -> None:
        """Put a new record in."""
        values = (record.id, record.status, record.model, _text(record))
        sql = "INSERT INTO batches (id, status, model, content) VALUES (?, ?, ?, ?)"
        await self._database.run(lambda connection: connection.execute(sql, values).rowcount)

    async def get(self, batch_id: str) -> BatchRecord:
        """The record of that id; NotFoundError where there is none."""
        return await self._database.run(lambda connection: _get(connection, batch_id))

    async def update(
        self, batch_id: str, change: Callable[[BatchRecord], None], *, only_in: tuple[str, ...] = ()
    ) -> BatchRecord:
        """Change a record in one transaction, and return it as it then is.

        Nothing is changed when its status is not one of `only_in` (where any are named).
        """

        def work(connection: sqlite3.Connection) -> BatchRecord:
            record = _get(connection, batch_id)
            if not only_in or record.status in only_in:
                change(record)
                connection.execute(
                    "UPDATE batches SET status = ?, model = ?, content = ? WHERE id = ?",
                    (record.status, record.model, _text(record), batch_id),
                )
            return record

        return await self._database.run(work)

    async def page(self, page: Page) -> list[BatchRecord]:
        """A page of the records, and the first of the next page where there is one."""
        rows = await self._database.run(
            lambda connection: connection.execute(
                page.query("batches"), {"after": page.after}
            ).fetchall()
        )
        return [_record(row) for row in rows]

    async def unfinished(self) -> list[BatchRecord]:
        """Batches with something left to do, the oldest first."""
        marks = ", ".join("?" for _ in UNFINISHED)
        sql = f"SELECT * FROM batches WHERE status IN ({marks}) ORDER BY sequence"
        rows = await self._database.run(
            lambda connection: connection.execute(sql, UNFINISHED).fetchall()
        )
        return [_record(row) for row in rows]


def _get(connection: sqlite3.Connection, batch_id: str) -> BatchRecord:
    row = connection.execute("SELECT * FROM batches WHERE id = ?", (batch_id,)).fetchone()
    if row is None:
        raise NotFoundError(f"No batch found with id '{batch_id[:100]}'", param="batch_id")
    return _record(row)


def _text(record: BatchRecord) -> str:
    return json.dumps(vars(record))


def _record(row: Mapping[str, Any] | sqlite3.Row) -> BatchRecord:
    return BatchRecord(**json.loads(row["content"]))
