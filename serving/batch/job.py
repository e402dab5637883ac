"""A batch on the command line: an output file, its errors, its manifest; begun, resumed, anew.

OUTPUT                  an answered row a line (or, for *.parquet, made from the lines at the end)
OUTPUT.errors.jsonl     the rows that failed
OUTPUT.manifest.json    what the batch is; written first, so that no output is without one
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sensorium.serving.batch.errors import OutputError
from sensorium.serving.batch.journal import Journal, fsync_folder
from sensorium.serving.batch.manifest import Manifest, differences, now
from sensorium.serving.batch.tables import import_pyarrow
from sensorium.serving.batch.tally import Tally
from sensorium.serving.errors import UserError

__all__ = ["Job", "forget_failed_tries"]


class Job:
    """The files of one batch, open for writing; a context manager.

    `resumed` tells whether an earlier run left something.
    """

    def __init__(self, output: Path, settings: Mapping[str, Any], *, restart: bool = False) -> None:
        """Begin or resume; raises UserError where the batch in the files is another one."""
        self.output = output
        self._parquet = output.suffix.lower() in {".parquet", ".pq"}
        if self._parquet:
            import_pyarrow()
        self._answers = (
            output.with_name(output.name + ".partial.jsonl") if self._parquet else output
        )
        self._errors = output.with_name(output.name + ".errors.jsonl")
        path = output.with_name(output.name + ".manifest.json")
        if not output.parent.is_dir():
            raise UserError(f"the folder of {output} does not exist")
        with _locked(output.parent):
            found = None if restart and path.exists() else Manifest.read(path)
            if restart and path.exists():
                self._remove()
            self.manifest = found or self._begin(path, settings)
            self.resumed = found is not None
            if found is not None and (changed := differences(found.settings, settings)):
                raise UserError(
                    f"{output} was begun with other settings ({'; '.join(changed)}); go on with "
                    "those, choose another output, or begin anew with --restart"
                )
            self.journal = Journal(self._answers, self._errors, self.manifest.job)
        self._run: dict[str, Any] = {}

    def __enter__(self) -> Job:
        return self

    def __exit__(self, *_: object) -> None:
        self.journal.close()

    def _begin(self, path: Path, settings: Mapping[str, Any]) -> Manifest:
        for other in (self.output, self._answers, self._errors):
            if other.exists():
                raise UserError(
                    f"{other} exists and no batch wrote it (it has no manifest {path.name}); "
                    "choose another output or move it away"
                )
        manifest = Manifest.new(path, settings)
        manifest.write()
        return manifest

    def _remove(self) -> None:
        # A process that writes these files holds them locked; it must not lose them.
        if self._answers.exists():
            _refuse_if_locked(self._answers)
        for path in (self.output, self._answers, self._errors):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.manifest.finished is not None and self.output.exists()

    def begin_run(self, more: Mapping[str, Any]) -> None:
        """Note in the manifest that the batch runs again."""
        self.manifest.finished = None
        self._run = self.manifest.begin_run(more)

    def end_run(self, tally: Tally, *, complete: bool, more: Mapping[str, Any]) -> None:
        """Note how the run ended; once all rows are there, make Parquet where it was asked for."""
        if complete and self._parquet:
            from sensorium.serving.batch.parquet import lines_to_parquet

            lines_to_parquet(self._answers, self.output)
        self._run |= {"ended": now(), "seconds": round(tally.seconds, 3), **more}
        self.manifest.counts = {
            "rows": tally.rows,
            "answered": tally.done,
            "failed": tally.failed,
        }
        if complete:
            self.manifest.finished = now()
        self.manifest.write()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time decide whether a batch in `folder` is begun or resumed."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _refuse_if_locked(path: Path) -> None:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another process is writing {path}; stop it first") from None


def forget_failed_tries(output: Path) -> int:
    """Take the rows out of the errors file that another try may mend; returns how many.

    Those are rows that ended with a status that is retried, or without a connection. Raises
    OutputError. The file is replaced at once, so a crash leaves the old one or the new one.
    """
    from sensorium.serving.batch.retry import RetryPolicy

    path = output.with_name(output.name + ".errors.jsonl")
    if not path.exists() or not output.with_name(output.name + ".manifest.json").exists():
        return 0
    _refuse_if_locked(path)
    policy = RetryPolicy()
    partial = path.with_name(f".{path.name}.partial")
    forgotten = 0
    try:
        with path.open("rb") as old, partial.open("wb") as new:
            for line in old:
                if not _may_be_mended(line, policy):
                    new.write(line)
                else:
                    forgotten += 1
            new.flush()
            os.fsync(new.fileno())
        partial.replace(path)
        fsync_folder(path.parent)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    return forgotten


def _may_be_mended(line: bytes, policy: Any) -> bool:
    try:
        row = json.loads(line)
        if row["response"] is None:
            return bool(row["error"]["code"] == "connection_error")
        return bool(policy.retryable(row["response"]["status_code"]))
    except (ValueError, KeyError, TypeError):
        return False  # a torn line; opening the journal sees to it
