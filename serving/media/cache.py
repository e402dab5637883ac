"""What has been made once: kept by content within a bound, and made once at a time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

__all__ = ["SingleFlightCache"]


class _Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


_V = TypeVar("_V", bound=_Sized)


@dataclass
class _Making(Generic[_V]):
    task: asyncio.Future[_V]
    waiting: int = 0


class SingleFlightCache(Generic[_V]):
    """Values by key, at most `limit` bytes of them, the least recently used going first.

    Several callers that want a value nobody has yet share one making of it; when all of them are
    cancelled, so is the making. Belongs to one event loop.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        self._values: OrderedDict[bytes, _V] = OrderedDict()
        self._making: dict[bytes, _Making[_V]] = {}

    async def get(self, key: bytes, make: Callable[[], Awaitable[_V]]) -> _V:
        """The value of `key`, made by `make` unless it is here or being made."""
        if key in self._values:
            self.hits += 1
            self._values.move_to_end(key)
            return self._values[key]
        making = self._making.get(key)
        if making is None:
            self.misses += 1
            making = self._making[key] = _Making(asyncio.ensure_future(make()))
        else:
            self.hits += 1
        making.waiting += 1
        try:
            value = await asyncio.shield(making.task)
        finally:
            making.waiting -= 1
            if making.waiting == 0 and self._making.get(key) is making:
                del self._making[key]
                making.task.cancel()
        if key not in self._values:
            self._keep(key, value)
        return value

    def _keep(self, key: bytes, value: _V) -> None:
        if value.nbytes > self.limit:
            return
        self._values[key] = value
        self.bytes += value.nbytes
        while self.bytes > self.limit:
            self.bytes -= self._values.popitem(last=False)[1].nbytes
