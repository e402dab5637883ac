"""The two files a batch writes: answers and errors, one finished row a line, in completion order.

A row counts as finished when its line is on the disk (fsync), and not before; lines are only ever
appended. So at any moment the files hold whole rows, but for the last line of each, which a crash
may have torn off: opening the journal again cuts that away.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sensorium.serving.batch.errors import OutputError
from sensorium.serving.batch.rows import Bitmap
from sensorium.serving.errors import UserError

__all__ = ["Journal", "fsync_folder"]

_ID = re.compile(r"batch_req_([0-9a-f]+)_(\d+)$")
_Line = dict[str, Any]


class Journal:
    """Finished rows on the disk. Blocking: call it from a thread.

    `done` holds the numbers of the finished rows; `answered` and `failed` count them by file.
    """

    def __init__(self, answers: Path, errors: Path, job: str) -> None:
        """Open or create the files of the batch `job` and read what is finished.

        Raises UserError for files that are not of this batch or in use by another process, and
        OutputError where they cannot be written.
        """
        self.answers = answers
        self.errors = errors
        self.done = Bitmap()
        self._job = job
        self._files: list[_File] = []
        self._lock = threading.Lock()
        try:
            for path in (answers, errors):
                self._files.append(_File(path))
            self.answered = self._files[0].recover(self._read)
            self.failed = self._files[1].recover(self._read)
            fsync_folder(answers.parent)
        except OSError as error:
            self.close()
            raise _cannot_write(error, answers) from error
        except UserError:
            self.close()
            raise

    def row_id(self, number: int) -> str:
        """The `id` of a row's line: OpenAI's form, and where the row's number is kept."""
        return f"batch_req_{self._job}_{number}"

    def append(self, answers: Sequence[bytes], errors: Sequence[bytes]) -> None:
        """Write lines (each with its newline) and return once they are on the disk.

        Raises OutputError; the files then hold what they held before, as far as the disk allows.
        """
        with self._lock:
            for file, lines in zip(self._files, (answers, errors), strict=True):
                if lines:
                    try:
                        file.append(b"".join(lines))
                    except OSError as error:
                        raise _cannot_write(error, file.path) from error
            self.answered += len(answers)
            self.failed += len(errors)

    def close(self) -> None:
        """Close the files and let other processes have them."""
        with self._lock:  # a thread may still be writing what a cancelled run gave it
            for file in self._files:
                file.close()

    def _read(self, line: _Line) -> bool:
        found = _ID.match(str(line.get("id")))
        if found is None or found.group(1) != self._job:
            return False
        if not self.done.add(int(found.group(2))):
            raise UserError(
                f"{self.answers} and its .errors.jsonl hold row {line['id']} twice; they have been "
                "changed by something else (`--restart` begins anew)"
            )
        return True


class _File:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._size = 0
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise UserError(f"another process is writing {path}; wait for it or stop it") from None

    def recover(self, read: Callable[[_Line], bool]) -> int:
        """Give every whole line to `read`, cut off a torn tail; returns the number of lines."""
        lines = 0
        whole = 0  # where the last good line ends
        bad: int | None = None
        with os.fdopen(os.dup(self._descriptor), "rb", buffering=1 << 20) as stream:
            stream.seek(0)
            for number, line in enumerate(stream, start=1):
                parsed = _parse(line)
                if parsed is None and bad is None:
                    bad = number
                elif parsed is not None:
                    if bad is not None or not read(parsed):
                        raise UserError(
                            f"{self.path}, line {bad or number}, is not a row of this batch; the "
                            "file has been changed by something else (`--restart` begins anew)"
                        )
                    lines += 1
                    whole += len(line)
        if bad is not None:
            os.ftruncate(self._descriptor, whole)
            os.fsync(self._descriptor)
        self._size = os.lseek(self._descriptor, 0, os.SEEK_END)
        return lines

    def append(self, data: bytes) -> None:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]
            os.fsync(self._descriptor)
        except OSError:
            # What part of it was written must not stand before what is written later.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
                os.lseek(self._descriptor, self._size, os.SEEK_SET)
            raise
        self._size += len(data)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _parse(line: bytes) -> _Line | None:
    """The object in a line, or None for what a crash has left."""
    if not line.endswith(b"\n"):
        return None
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _cannot_write(error: OSError, path: Path) -> OutputError:
    return OutputError(f"cannot write {error.filename or path}: {error.strerror or error}")


def fsync_folder(folder: Path) -> None:
    """Make new and renamed files in `folder` survive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
