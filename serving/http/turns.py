"""Turns of the event loop, shared out: of what takes a while, one piece each.

What asyncio finds ready it runs to the last piece before it looks at its connections again. When
sixteen requests come at once, or their media are ready at once, that is sixteen times most of a
millisecond in which no answer of another request goes on. Pieces that wait here for a turn of their
own let everything else that is ready pass between them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

__all__ = ["OneATurn", "Pauses", "TurnBudget"]

# Work that can stop anywhere lets others go on when it has taken this many seconds.
_SLICE = 0.001


class OneATurn:
    """Lets one caller pass in a turn of the loop, first come first served."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = False

    async def turn(self) -> None:
        """Return at once in a turn that nobody has taken, otherwise in the caller's own."""
        loop = asyncio.get_running_loop()
        if self._taken:
            place = loop.create_future()
            self._waiting.append(place)
            await place
        else:
            self._taken = True
            loop.call_soon(self._pass_on, loop)

    def _pass_on(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():  # a caller that was cancelled does not use up a turn
                place.set_result(None)
                loop.call_soon(self._pass_on, loop)
                return
        self._taken = False


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
