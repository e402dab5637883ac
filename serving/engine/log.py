"""The log of the engines' processes, passed on and remembered, to name the cause of a failure.

An engine that fails to start says why in its own process, on standard error; the exception that
reaches us only says "see above". All file descriptors 1 and 2 below this process go through a pipe
while the server runs: lines are written on as they come, and the last ones are kept.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections import deque
from types import TracebackType
from typing import TextIO

__all__ = ["EngineLog", "find_cause", "one_line"]

_KEPT_LINES = 400
_SETTLE_SECONDS = 1.0
_MARK = b"\x00 all that was written before this has been read\n"
_CAUSE = re.compile(
    r"^(?:\(.*?\) )?(?:ERROR [^\]]*\] ?)?\s*((?:\w+\.)*\w*(?:Error|Exception)): (.+)$"
)
_UNHELPFUL = re.compile(
    r"Engine core initialization failed|Engine core proc .* died|See root cause"
)


def find_cause(lines: list[str]) -> str | None:
    """The last exception named in `lines` that says something, in one line."""
    for line in reversed(lines):
        found = _CAUSE.match(line.rstrip())
        if found and not _UNHELPFUL.search(line):
            return f"{found.group(1).rpartition('.')[2]}: {found.group(2).strip()}"[:600]
    return None


def one_line(error: BaseException) -> str:
    """An exception's message in one line; of pydantic's reports the part that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("Value error, ")]
    text = told[0].removeprefix("Value error, ") if told else " ".join(lines)
    return f"{type(error).__name__}: {text.partition(' [type=')[0]}"[:600]


class EngineLog:
    """Context in which descriptor 2 (and 1) of this process and its children are watched.

    `terminal` writes past the pipe: what is written there is neither held back nor kept.
    """

    def __init__(self, *, hold: bool = False) -> None:
        """`hold` keeps the lines back until `release`, for a start without noise."""
        self._held = hold
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._saved: list[tuple[int, int]] = []
        self._reader: threading.Thread | None = None
        self._settled = threading.Event()
        self._write_end = -1
        self.terminal: TextIO = sys.stderr

    def __enter__(self) -> EngineLog:
        sys.stdout.flush()
        sys.stderr.flush()
        read_end, write_end = os.pipe()
        self._saved = [(number, os.dup(number)) for number in (1, 2)]
        terminal = self._saved[1][1]
        self.terminal = os.fdopen(os.dup(terminal), "w", buffering=1)
        for number in (1, 2):
            os.dup2(write_end, number)
        self._write_end = write_end
        self._reader = threading.Thread(
            target=self._pass_on, args=(read_end, terminal), name="engine-log", daemon=True
        )
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _settle(self) -> None:
        """Wait until all that has been written has come out of the pipe."""
        self._settled.clear()
        os.write(self._write_end, _MARK)
        self._settled.wait(_SETTLE_SECONDS)

    def close(self) -> None:
        """Give the descriptors back."""
        if not self._saved:
            return
        self._settle()
        for number, saved in self._saved:
            os.dup2(saved, number)
        self._saved = []

    def hold(self) -> None:
        """Keep lines back from now."""
        self._held = True

    def release(self, *, show: bool) -> None:
        """Pass lines on from now; `show` writes those held back first."""
        self._settle()
        if self._held and show:
            self.terminal.writelines(self._lines)
            self.terminal.flush()
        self._held = False

    def cause(self) -> str | None:
        """Why an engine failed, as far as its log tells."""
        return find_cause(list(self._lines))

    def _pass_on(self, read_end: int, terminal: int) -> None:
        with os.fdopen(read_end, "rb", closefd=True) as pipe:
            for line in pipe:
                if line == _MARK:
                    self._settled.set()
                    continue
                if not self._held:
                    os.write(terminal, line)
                self._lines.append(line.decode("utf-8", "replace"))
