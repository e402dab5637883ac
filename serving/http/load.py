"""How many requests of clients the models work on: what batch rows make room for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["BATCH_ROW", "OnlineLoad"]

# In the scope of a request that the server itself makes for a row of a batch; no client can set it.
BATCH_ROW = "sensorium.batch_row"


class OnlineLoad:
    """Counts requests under way and tells listeners of every change from or to none."""

    def __init__(self) -> None:
        self.count = 0
        self._listeners: list[Callable[[int], None]] = []

    def listen(self, listener: Callable[[int], None]) -> None:
        """Call `listener` with the number from now on."""
        self._listeners.append(listener)

    @contextmanager
    def request(self) -> Iterator[None]:
        """A request of a client is under way."""
        self.count += 1
        if self.count == 1:
            self._tell()
        try:
            yield
        finally:
            self.count -= 1
            if self.count == 0:
                self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener(self.count)
