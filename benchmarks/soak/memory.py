"""The memory of a server's processes over time, and whether it grows."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Growth", "Sample", "busy_workers", "growth", "sample"]

_MIB = 1 << 20
# Growth that counts as none: what allocators keep, in bytes and as a share.
_SLACK, _SHARE = 64 * _MIB, 0.03


@dataclass(frozen=True)
class Sample:
    """Resident bytes at `at` seconds: of the server itself, its engines, its media workers."""

    at: float
    server: int
    engines: int
    workers: int

    @property
    def total(self) -> int:
        """All of them; pages that they share count several times."""
        return self.server + self.engines + self.workers


@dataclass(frozen=True)
class Growth:
    """How much more the last quarter of the samples holds than the second, and an hour of that."""

    bytes: float
    bytes_an_hour: float
    flat: bool


def sample(pid: int, at: float) -> Sample:
    """Read the processes of the server `pid` now."""
    import psutil

    server = psutil.Process(pid)
    engines = workers = 0
    for child in server.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            resident = child.memory_info().rss
            if "EngineCore" in " ".join(child.cmdline()) or child.name().startswith("VLLM"):
                engines += resident
            else:
                workers += resident
    return Sample(at, server.memory_info().rss, engines, workers)


def growth(samples: Sequence[Sample]) -> Growth:
    """Of the second half over the first, without the first quarter, in which caches fill."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    before = statistics.mean(one.total for one in early)
    more = statistics.mean(one.total for one in late) - before
    hours = (statistics.mean(o.at for o in late) - statistics.mean(o.at for o in early)) / 3600
    return Growth(more, more / hours, more <= max(_SLACK, _SHARE * before))


def busy_workers(pid: int, seconds: float = 2.0) -> int:
    """How many of the server's children compute while nobody asks for anything."""
    import psutil

    children = psutil.Process(pid).children(recursive=True)
    for child in children:
        with contextlib.suppress(psutil.Error):
            child.cpu_percent()
    psutil.Process(pid).cpu_percent(seconds)
    busy = 0
    for child in children:
        with contextlib.suppress(psutil.Error):
            busy += child.cpu_percent() > 50
    return busy
