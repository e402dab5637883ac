"""What a person sees of a running batch: one line that changes on a terminal, a line now and then
elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from typing import TextIO

from sensorium.serving.batch.media import MediaFiles
from sensorium.serving.batch.tally import Tally

__all__ = ["Display", "duration"]

_TERMINAL_SECONDS = 0.25
_LOG_SECONDS = 15.0
_BAR = 20


class Display:
    """Shows a tally while it grows; `quiet` shows nothing but `say`."""

    def __init__(self, stream: TextIO, tally: Tally, files: MediaFiles, total: int) -> None:
        self._stream = stream
        self._tally = tally
        self._files = files
        self._total = total
        self._terminal = stream.isatty()

    async def show(self) -> None:
        """Show until cancelled."""
        try:
            while True:
                if self._terminal:
                    width = shutil.get_terminal_size((80, 24)).columns - 1
                    self._write("\r\x1b[K" + self.line(bar=True)[:width])
                    await asyncio.sleep(_TERMINAL_SECONDS)
                else:
                    await asyncio.sleep(_LOG_SECONDS)
                    self._write(self.line() + "\n")
        finally:
            if self._terminal:
                self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        # A reader that has gone must not end hours of work.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()

    def line(self, *, bar: bool = False) -> str:
        """Rows, rates, time left, errors and cache hits, in one line."""
        tally = self._tally
        share = tally.rows / self._total if self._total else 1.0
        parts = [f"{tally.rows:,}/{self._total:,} rows ({share:.0%})"]
        parts.append(f"{tally.rows_per_second:,.1f} rows/s")
        if tally.completion_tokens or tally.prompt_tokens:
            tokens = tally.prompt_tokens + tally.completion_tokens
            parts.append(f"{tokens / tally.seconds:,.0f} tokens/s")
        left = self._total - tally.rows
        if left > 0 and tally.rows_per_second > 0:
            parts.append(f"{duration(left / tally.rows_per_second)} left")
        parts.append(f"{tally.failed:,} failed")
        if tally.retries:
            parts.append(f"{tally.retries:,} retries")
        if used := self._files.hits + self._files.misses:
            parts.append(f"{self._files.hits / used:.0%} media reused")
        if tally.cached_tokens:
            parts.append(f"{tally.cached_tokens / max(1, tally.prompt_tokens):.0%} prompt cached")
        full = min(_BAR, int(share * _BAR))
        drawn = "█" * full + "░" * (_BAR - full) + " " if bar else ""
        return drawn + ", ".join(parts)


def duration(seconds: float) -> str:
    """A span of time as people say it: 42 s, 5 min 10 s, 3 h 20 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
