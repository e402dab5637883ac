"""How long the event loop is held up: what runs between two looks at what has come in.

Measured where the loop waits, so nothing is missed and nothing wakes an idle server.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from typing import Any

__all__ = ["watched_loop"]

# Shorter turns of the loop are not told of: there are thousands a second.
_SHORTEST = 0.001


class _WatchedSelector(selectors.DefaultSelector):
    def __init__(self, observe: Callable[[float], object], clock: Callable[[], float]) -> None:
        super().__init__()
        self._observe = observe
        self._clock = clock
        self._woke = clock()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As the selector's own, noting how long its caller was away."""
        began = self._clock()
        away = began - self._woke
        if away >= _SHORTEST:
            self._observe(away)
        found: list[Any] = super().select(timeout)
        self._woke = self._clock()
        if timeout and not found and self._woke - began - timeout >= _SHORTEST:
            # A timer that is late: another thread would not let go of the interpreter.
            self._observe(self._woke - began - timeout)
        return found


def watched_loop(
    observe: Callable[[float], object], clock: Callable[[], float] = time.perf_counter
) -> asyncio.AbstractEventLoop:
    """An event loop that reports its turns of a millisecond and more, in seconds of `clock`."""
    return asyncio.SelectorEventLoop(_WatchedSelector(observe, clock))
