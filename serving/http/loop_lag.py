"""How long the event loop is held up: what runs between two looks at what has come in.

And that it is not held up by many connections at once: a few of them are read in a turn.

Measured where the loop waits, so nothing is missed and nothing wakes an idle server.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable

from sensorium.serving.http.turns import TurnClock

__all__ = ["watched_loop"]

# Shorter turns of the loop are not told of: there are thousands a second.
_SHORTEST = 0.001
# Connections that are read in one turn.
_MOST = 4

_Event = tuple[selectors.SelectorKey, int]


class _WatchedSelector(selectors.DefaultSelector):
    def __init__(
        self, by_clock: Callable[[float], object], by_cpu: Callable[[float], object]
    ) -> None:
        super().__init__()
        self._by_clock = by_clock
        self._by_cpu = by_cpu
        self._woke = time.perf_counter()
        self._woke_cpu = time.thread_time()
        self._left: set[int] = set()
        self.turn = TurnClock()

    def select(self, timeout: float | None = None) -> list[_Event]:
        """As the selector's own, noting how long its caller was away."""
        began = time.perf_counter()
        away = began - self._woke
        self.turn.ended(away)
        if away >= _SHORTEST:
            self._by_clock(away)
            if (worked := time.thread_time() - self._woke_cpu) >= _SHORTEST:
                self._by_cpu(worked)
        found = self._some(super().select(timeout))
        self._woke = time.perf_counter()
        self.turn.begin(self._woke)
        self._woke_cpu = time.thread_time()
        if timeout and not found and self._woke - began - timeout >= _SHORTEST:
            # A timer that is late: another thread would not let go of the interpreter.
            self._by_clock(self._woke - began - timeout)
        return found

    def _some(self, found: list[_Event]) -> list[_Event]:
        """At most `_MOST` of what has come in; the others are found again, and then come first."""
        if len(found) > _MOST:
            found.sort(key=lambda event: event[0].fd not in self._left)
        self._left = {event[0].fd for event in found[_MOST:]}
        return found[:_MOST]


class _WatchedLoop(asyncio.SelectorEventLoop):
    def __init__(self, selector: _WatchedSelector) -> None:
        super().__init__(selector)
        self.turn = selector.turn  # for `room`


def watched_loop(
    by_clock: Callable[[float], object], by_cpu: Callable[[float], object]
) -> asyncio.AbstractEventLoop:
    """An event loop that reads few connections in a turn, and reports turns of a millisecond on.

    `by_clock` is told how long a turn took, `by_cpu` how long its thread, the one that calls this,
    was at work in it; the rest it waited for the interpreter's lock or for a processor.
    """
    return _WatchedLoop(_WatchedSelector(by_clock, by_cpu))
