"""CPU time and memory of the processes of a server on this machine, read through psutil."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, TypedDict
from urllib.parse import urlsplit

from sensorium.serving.client import LOOPBACK

__all__ = ["ProcessUse", "ProcessWatch", "cpu_seconds", "find_server", "whole_memory"]

_SECONDS = 0.5


class ProcessUse(TypedDict):
    """CPU seconds all processes used, and the most memory they held (proportional set size)."""

    processes: int
    cpu_seconds: float
    peak_memory_bytes: int


def find_server(url: str) -> int | None:
    """The process that listens at the URL's port; None for another machine or without psutil."""
    parts = urlsplit(url)
    if parts.hostname not in LOOPBACK:
        return None
    try:
        import psutil
    except ModuleNotFoundError:
        return None
    port = parts.port or 80
    with contextlib.suppress(psutil.AccessDenied):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN
            if listens and connection.laddr.port == port and connection.pid:
                return int(connection.pid)
    return None


def _family(pid: int) -> list[Any]:
    import psutil

    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def whole_memory(pid: int) -> int:
    """Bytes that the process and its children hold, pages they share counted once."""
    import psutil

    total = 0
    for process in _family(pid):
        with contextlib.suppress(psutil.Error):
            try:
                total += process.memory_full_info().pss
            except (AttributeError, psutil.AccessDenied):
                total += process.memory_info().rss
    return total


def cpu_seconds(pid: int) -> dict[int, float]:
    """CPU seconds used so far, by process, of the process and its children."""
    import psutil

    used = {}
    for process in _family(pid):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            used[process.pid] = times.user + times.system
    return used


class ProcessWatch:
    """Watches a server from `start` to `stop`; what it asks for takes a millisecond twice a second.

    Reading proportional memory of a large process takes longer, so that is done at the end only;
    while it runs, the growth of resident memory is followed.
    """

    def __init__(self, pid: int | None) -> None:
        self._pid = pid
        self._before: dict[int, float] = {}
        self._peak = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        if self._pid is not None:
            self._before = cpu_seconds(self._pid)
            self._task = asyncio.create_task(self._follow(self._pid))

    async def stop(self) -> ProcessUse | None:
        """End, and say what was used; None where nothing can be known."""
        if self._pid is None or self._task is None:
            return None
        self._task.cancel()
        after = cpu_seconds(self._pid)
        if not after:
            return None
        resident = _resident(self._pid)
        shared = resident - whole_memory(self._pid)
        used = sum(seconds - self._before.get(pid, 0.0) for pid, seconds in after.items())
        return ProcessUse(
            processes=len(after),
            cpu_seconds=used,
            peak_memory_bytes=max(self._peak, resident) - max(0, shared),
        )

    async def _follow(self, pid: int) -> None:
        while True:
            self._peak = max(self._peak, _resident(pid))
            await asyncio.sleep(_SECONDS)


def _resident(pid: int) -> int:
    import psutil

    total = 0
    for process in _family(pid):
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total
