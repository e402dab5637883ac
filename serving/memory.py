"""How much memory this machine has, and what the garbage collector leaves alone."""

from __future__ import annotations

import gc
import os
from pathlib import Path

__all__ = ["freeze_heap", "total_memory"]

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def total_memory() -> int:
    """Memory this process may use at most: the machine's, or its container's if that is less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = _CGROUP_LIMIT.read_text().strip()
    except OSError:
        return machine
    return min(machine, int(limit)) if limit.isdigit() else machine


def freeze_heap() -> None:
    """Leave all that start-up made out of later garbage collections.

    vLLM and transformers make some 700,000 objects that stay. Looking through them takes half a
    second of CPU, in which no request moves; a stock vLLM server freezes them too.
    """
    gc.collect()
    gc.freeze()
