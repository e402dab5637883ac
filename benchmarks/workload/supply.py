"""Requests made before a level starts, so that making them takes no time from it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sensorium.benchmarks.client.request import PreparedRequest
from sensorium.benchmarks.workload.workload import Workload

__all__ = ["Supply"]


class Supply:
    """Keeps prepared requests, up to a number of bytes; what is missing is made when it is due."""

    def __init__(self, workload: Workload, most_bytes: int, first: int = 0) -> None:
        self._workload = workload
        self._room = most_bytes
        self._first = first
        self._ready: dict[int, PreparedRequest] = {}

    async def prepare(self, count: int, tell: Callable[[int], None] = lambda made: None) -> None:
        """Make the first `count` requests, or as many as there is room for."""
        for index in range(count):
            if self._room <= 0:
                return
            request = await asyncio.to_thread(self._workload.request, self._first + index)
            self._ready[index] = request
            self._room -= len(request.body)
            tell(index + 1)

    async def take(self, index: int) -> tuple[PreparedRequest, bool]:
        """The request, and whether it had to be made just now."""
        request = self._ready.pop(index, None)
        if request is not None:
            return request, False
        return await asyncio.to_thread(self._workload.request, self._first + index), True
