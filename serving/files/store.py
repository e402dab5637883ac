"""Uploaded files: their content in a folder, what is known of them in the database."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sqlite3
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sensorium.serving.batch.journal import fsync_folder
from sensorium.serving.errors import RequestError
from sensorium.serving.files.database import Database

__all__ = ["FileStore", "NotFoundError", "Page", "StoredFile"]

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ABANDONED_SECONDS = 86_400


class NotFoundError(RequestError):
    """There is no file or batch of that id."""

    status = 404
    type = "invalid_request_error"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What is known of a file. Times are in seconds since 1970."""

    id: str
    filename: str
    purpose: str
    bytes: int
    created_at: int
    expires_at: int | None

    def as_json(self) -> dict[str, Any]:
        """OpenAI's file object."""
        entry: dict[str, Any] = {
            "id": self.id,
            "object": "file",
            "bytes": self.bytes,
            "created_at": self.created_at,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
        }
        if self.expires_at is not None:
            entry["expires_at"] = self.expires_at
        return entry


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for."""

    limit: int = 20
    after: str | None = None
    descending: bool = True

    def query(self, table: str, where: str = "1") -> str:
        """SQL for one entry more than the page has; parameters `:after` and those of `where`."""
        order, sign = ("DESC", "<") if self.descending else ("ASC", ">")
        after = (
            f" AND sequence {sign} (SELECT sequence FROM {table} WHERE id = :after)"
            if self.after
            else ""
        )
        return (
            f"SELECT * FROM {table} WHERE {where}{after} "
            f"ORDER BY sequence {order} LIMIT {self.limit + 1}"
        )


class FileStore:
    """Files below `folder`. Content is on the disk before the file is known by its id."""

    def __init__(self, folder: Path, database: Database) -> None:
        self._folder = folder / "files"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._database = database

    def path(self, file_id: str) -> Path | None:
        """Where the content of a file is, or None where there is none."""
        if not _ID.fullmatch(file_id):
            return None
        path = self._folder / file_id
        return path if path.is_file() else None

    async def add(
        self, content: BinaryIO, filename: str, purpose: str, lifetime: int | None = None
    ) -> StoredFile:
        """Store an upload; `lifetime` is in seconds. OSError where the disk does not let us."""
        file_id = f"file-{uuid.uuid4().hex}"
        size = await asyncio.to_thread(self._write, file_id, content)
        return await self._insert(file_id, filename, purpose, size, lifetime)

    async def adopt(
        self, source: Path, file_id: str, filename: str, purpose: str, lifetime: int | None
    ) -> StoredFile:
        """Make a file of one that is there already (on the same disk); may be done again."""

        def link() -> int:
            with contextlib.suppress(FileExistsError):
                os.link(source, self._folder / file_id)
            fsync_folder(self._folder)
            return source.stat().st_size

        size = await asyncio.to_thread(link)
        return await self._insert(file_id, filename, purpose, size, lifetime)

    async def get(self, file_id: str, param: str = "id") -> StoredFile:
        """The file of that id; NotFoundError where there is none or it has expired."""
        row = await self._database.run(
            lambda connection: connection.execute(
                "SELECT * FROM files WHERE id = ?", (file_id,)
            ).fetchone()
        )
        if row is None or _expired(row):
            raise NotFoundError(f"No such File object: {file_id[:100]}", param=param)
        return _file(row)

    async def read(self, file_id: str, param: str = "id") -> tuple[StoredFile, bytes]:
        """A file and its content."""
        stored = await self.get(file_id, param)
        path = self.path(file_id)
        try:
            if path is not None:
                return stored, await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            pass  # deleted at this moment
        raise NotFoundError(f"No such File object: {file_id[:100]}", param=param)

    async def page(self, page: Page, purpose: str | None = None) -> list[StoredFile]:
        """A page of the files, and the first of the next page where there is one."""
        where = "(expires_at IS NULL OR expires_at > :now)"
        where += " AND purpose = :purpose" if purpose else ""
        values = {"after": page.after, "purpose": purpose, "now": int(time.time())}
        rows = await self._database.run(
            lambda connection: connection.execute(page.query("files", where), values).fetchall()
        )
        return [_file(row) for row in rows]

    async def delete(self, file_id: str) -> None:
        """Forget a file; NotFoundError where there is none."""
        await self.get(file_id)
        await self._remove([file_id])

    async def sweep(self) -> None:
        """Delete what has expired, and what broken uploads have left."""
        now = int(time.time())
        rows = await self._database.run(
            lambda connection: connection.execute(
                "SELECT id FROM files WHERE expires_at <= ?", (now,)
            ).fetchall()
        )
        if rows:
            await self._remove([row["id"] for row in rows])
        await asyncio.to_thread(self._sweep_partials, now - _ABANDONED_SECONDS)

    async def _remove(self, file_ids: list[str]) -> None:
        # First the entry: an entry without content would be a lie, content without one is swept.
        await self._database.run(
            lambda connection: (
                connection.executemany(
                    "DELETE FROM files WHERE id = ?", [(file_id,) for file_id in file_ids]
                ).rowcount
            )
        )
        for file_id in file_ids:
            await asyncio.to_thread((self._folder / file_id).unlink, missing_ok=True)

    async def _insert(
        self, file_id: str, filename: str, purpose: str, size: int, lifetime: int | None
    ) -> StoredFile:
        now = int(time.time())
        expires = None if lifetime is None else now + lifetime
        stored = StoredFile(file_id, filename, purpose, size, now, expires)
        await self._database.run(
            lambda connection: (
                connection.execute(
                    "INSERT OR REPLACE INTO files "
                    "(id, filename, purpose, bytes, created_at, expires_at) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (file_id, filename, purpose, size, now, expires),
                ).rowcount
            )
        )
        return stored

    def _write(self, file_id: str, content: BinaryIO) -> int:
        partial = self._folder / f".{file_id}.partial"
        try:
            with partial.open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
                file.flush()
                os.fsync(file.fileno())
                size = file.tell()
            partial.replace(self._folder / file_id)
            fsync_folder(self._folder)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
        return size

    def _sweep_partials(self, before: float) -> None:
        for path in self._folder.glob(".*.partial"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()


def _expired(row: sqlite3.Row) -> bool:
    return row["expires_at"] is not None and row["expires_at"] <= time.time()


def _file(row: sqlite3.Row) -> StoredFile:
    names = ("id", "filename", "purpose", "bytes", "created_at", "expires_at")
    return StoredFile(*(row[name] for name in names))
