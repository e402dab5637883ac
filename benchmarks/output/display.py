"""A run while it goes on: one line that changes on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from typing import TextIO

from sensorium.benchmarks.load.runner import LevelRun

__all__ = ["Display"]

_TERMINAL_SECONDS = 0.5
_LOG_SECONDS = 10.0
_RECENT = 50


class Display:
    """Follows one level; `note` is for what happens between levels."""

    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        self._stream = stream
        self._quiet = quiet
        self._terminal = stream.isatty()

    def note(self, text: str) -> None:
        """Say what is being done; on a terminal the next note takes its place."""
        if not self._quiet:
            self._write(f"\r\x1b[K{text}" if self._terminal else f"{text}\n")

    def clear(self) -> None:
        """Take away what a terminal still shows."""
        if self._terminal and not self._quiet:
            self._write("\r\x1b[K")

    async def follow(self, run: LevelRun) -> None:
        """Show the level until cancelled."""
        seconds = _TERMINAL_SECONDS if self._terminal else _LOG_SECONDS
        while True:
            await asyncio.sleep(seconds)
            width = shutil.get_terminal_size((100, 24)).columns - 1
            self.note(line(run, time.perf_counter() - run.zero)[:width])

    def _write(self, text: str) -> None:
        # A reader that has gone must not end the run.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()


def line(run: LevelRun, seconds: float) -> str:
    """Where the level stands, in one line."""
    recent = [record for record in run.records[-_RECENT:] if record.ok]
    failed = sum(not record.ok for record in run.records)
    wanted = f"/{run.level.requests}" if run.level.requests is not None else ""
    parts = [
        f"{run.level.name}: {len(run.records)}{wanted} done",
        f"{run.in_flight} in flight",
        f"{len(run.records) / max(seconds, 1e-9):.1f}/s",
    ]
    first = [1e3 * record.ttft for record in recent if record.ttft is not None]
    if first:
        parts.append(f"TTFT {sum(first) / len(first):.0f} ms")
    if recent:
        parts.append(f"E2E {1e3 * sum(record.e2e for record in recent) / len(recent):.0f} ms")
    if failed:
        parts.append(f"{failed} failed")
    return f"[{seconds:5.0f} s] " + ", ".join(parts)
