"""How much memory there is, what a process keeps of it, and what garbage collections leave out."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
from pathlib import Path

__all__ = ["QuietHeap", "keep_memory", "total_memory"]

# How many objects more than before are a collection of what is new, how many of those are one of
# what is young, and how many of these one of everything; Python's own numbers are 700, 10 and 10.
_NEW, _YOUNG, _WHOLE = 200, 4, 1000
# glibc's malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def total_memory() -> int:
    """Memory this process may use at most: the machine's, or its container's if that is less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = _CGROUP_LIMIT.read_text().strip()
    except OSError:
        return machine
    return min(machine, int(limit)) if limit.isdigit() else machine


def keep_memory() -> None:
    """Let glibc keep what was freed for what comes next, up to 64 MiB of it at the heap's end.

    It would give it back to the system, and take new pages for the next picture: a third of the
    time that a worker's job takes, a tenth of the time that the server's process takes for one.
    """
    with contextlib.suppress(AttributeError, OSError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        mallopt(_M_TRIM_THRESHOLD, 64 << 20)


class QuietHeap:
    """Keeps garbage collections short: what stays is left out of them, in quiet moments.

    vLLM and transformers make some 700,000 objects that stay. Looking through them takes half a
    second of CPU, in which no request moves; a stock vLLM server leaves those out too. What is
    cached later, a dozen objects a picture, adds up to tens of milliseconds again, so the same is
    done whenever nothing has been asked for `seconds`. Not while something is: what belongs to a
    request would stay for good. Meanwhile whole collections are rare: requests leave next to
    nothing for them. Small ones are frequent, so that none is long: with 64 requests at a time
    Python's own numbers made some of 10,000 objects, and up to 8 ms. For one event loop.
    """

    def __init__(self, seconds: float = 1.0) -> None:
        self._seconds = seconds
        self._open = 0
        self._started = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Leave out all that start-up made; nothing is done before."""
        self._started = True
        gc.set_threshold(_NEW, _YOUNG, _WHOLE)
        self._leave_out()

    def begin(self) -> None:
        """A request has come."""
        self._open += 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def end(self) -> None:
        """A request is over."""
        self._open -= 1
        if self._started and not self._open:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._seconds, self._leave_out)

    def _leave_out(self) -> None:
        self._timer = None
        gc.collect()
        gc.freeze()
