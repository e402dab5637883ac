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
    cancelled, so is the making. A kept value that is no longer `usable` is made anew, one that is
    not to be `kept` goes to those who waited only. Belongs to one event loop.
    """

    def __init__(
        self,
        limit: int,
        *,
        usable: Callable[[_V], bool] = lambda value: True,
        kept: Callable[[_V], bool] = lambda value: True,
    ) -> None:
        self.limit = limit
        self._usable = usable
        self._kept = kept
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        self._values: OrderedDict[bytes, _V] = OrderedDict()
        self._making: dict[bytes, _Making[_V]] = {}

    async def get(self, key: bytes, make: Callable[[], Awaitable[_V]]) -> _V:
        """The value of `key`, made by `make` unless it is here or being made."""
        value = self._values.get(key)
        if value is not None and self._usable(value):
            self.hits += 1
            self._values.move_to_end(key)
            return value
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
            ended = making.waiting == 0 or making.task.done()
            if ended and self._making.get(key) is making:
                del self._making[key]
                making.task.cancel()
        if self._values.get(key) is not value:
            self._keep(key, value)
        return value

    def peek(self, key: bytes) -> _V | None:
        """What is kept of `key`, usable or not."""
        return self._values.get(key)

    def making(self, key: bytes) -> bool:
        """Whether the value of `key` is being made."""
        return key in self._making

    def _keep(self, key: bytes, value: _V) -> None:
        if (old := self._values.pop(key, None)) is not None:
            self.bytes -= old.nbytes
        if value.nbytes > self.limit or not self._kept(value):
            return
        self._values[key] = value
        self.bytes += value.nbytes
        while self.bytes > self.limit:
            self.bytes -= self._values.popitem(last=False)[1].nbytes
