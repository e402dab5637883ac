"""Turns of the event loop, kept short: what takes a while begins in one that has room left.

What asyncio finds ready it runs to the last piece before it looks at its connections again. When
sixteen requests come at once, or their media are ready at once, that is sixteen times most of a
millisecond in which no answer of another request goes on. Pieces that wait here for room let
everything else that is ready pass between them; and where the kernel ran another process in the
middle of a turn, the rest of it is for the next.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

__all__ = ["Pauses", "TurnBudget", "TurnClock", "room"]

# Seconds of a turn after which nothing begins in it that may wait for the next.
_ROOM = 0.003
# So many of those that wait go on in one turn, where the turns have room.
_TOGETHER = 3
# Work that can stop anywhere lets others go on when it has taken this many seconds.
_SLICE = 0.001


class TurnClock:
    """How long the present turn of a loop has taken, and who waits for another."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._took = 0.0  # the turn before
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._passing = False

    def ended(self, seconds: float) -> None:
        """The present turn has taken so long; what the loop does next is to wait."""
        self._took = seconds

    def begin(self, now: float) -> None:
        """A turn begins."""
        self._began = now

    async def room(self) -> None:
        """Return at once in a turn that has room left; otherwise soon, first come first served."""
        if self._is_left() and not self._passing:
            return
        loop = asyncio.get_running_loop()
        place = loop.create_future()
        self._waiting.append(place)
        if not self._passing:
            self._passing = True
            loop.call_soon(self._pass_on, loop)
        await place

    def _pass_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let those who are first go on in the next turn; at least one, whatever else there is."""
        left = _TOGETHER if self._took < _ROOM and self._is_left() else 1
        self._passing = bool(self._waiting)
        while self._waiting and left:
            place = self._waiting.popleft()
            if not place.done():  # a caller that was cancelled does not use up a place
                place.set_result(None)
                left -= 1
        if self._passing:
            loop.call_soon(self._pass_on, loop)

    def _is_left(self) -> bool:
        return time.perf_counter() - self._began < _ROOM


async def room() -> None:
    """Wait for room in a turn of the running loop, where that is one that looks at the clock."""
    turn = getattr(asyncio.get_running_loop(), "turn", None)
    if isinstance(turn, TurnClock):
        await turn.room()


class TurnBudget:
    """How much the loop may do at once in each of its turns; what is beyond is for threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most
        self._loop: asyncio.AbstractEventLoop | None = None

    def takes(self, amount: int = 1) -> bool:
        """Whether there is room for so much in this turn of the running loop; it is then taken."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._left = loop, self._most
            loop.call_soon(self._end)
        if amount > self._left:
            return False
        self._left -= amount
        return True

    def _end(self) -> None:
        self._loop = None


class Pauses:
    """For work with many places to stop at: a millisecond of it in a turn of the loop."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def pause(self) -> None:
        """Let everything else that is ready run, if it is time."""
        if time.perf_counter() - self._since >= _SLICE:
            await asyncio.sleep(0)
            self._since = time.perf_counter()
