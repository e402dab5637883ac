"""How much may be under way at once: a number of rows, or of bytes; it may change while it runs."""

from __future__ import annotations

import asyncio
from collections import deque

__all__ = ["Window"]


class Window:
    """Lets `limit` units in at a time, first come first served.

    An amount larger than the limit goes in alone. Closed, it lets nobody in any more.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.closed = False
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def enter(self, amount: int = 1) -> bool:
        """Wait for room and take it; False (and nothing taken) when the window has closed."""
        if not self._waiting and self._fits(amount):
            self.used += amount
            return True
        if self.closed:
            return False
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((amount, admitted))
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled() and not self.closed:
                self.leave(amount)  # let in and called away at the same moment
            raise
        return not self.closed

    def leave(self, amount: int = 1) -> None:
        """Give room back."""
        self.used -= amount
        self._admit()

    def resize(self, limit: int) -> None:
        """Change the limit; who is inside stays inside."""
        self.limit = limit
        self._admit()

    def close(self) -> None:
        """Send everybody away who waits, and everybody who comes."""
        self.closed = True
        while self._waiting:
            _, admitted = self._waiting.popleft()
            if not admitted.done():
                admitted.set_result(None)

    def _fits(self, amount: int) -> bool:
        return not self.closed and (self.used + amount <= self.limit or self.used == 0 < self.limit)

    def _admit(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            amount, admitted = self._waiting.popleft()
            if not admitted.done():
                self.used += amount
                admitted.set_result(None)
