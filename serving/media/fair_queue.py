"""Who waits for a worker: first come first served in a request, turn by turn among requests."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["FairQueue", "Place"]

_T = TypeVar("_T")


@dataclass(eq=False)
class Place(Generic[_T]):
    """`who` waits for the request `owner`, with so many bytes."""

    owner: str
    bytes: int
    who: _T


class FairQueue(Generic[_T]):
    """Places, and the `count` and `bytes` of them. Not for several threads at once."""

    def __init__(self) -> None:
        self._places: OrderedDict[str, deque[Place[_T]]] = OrderedDict()
        self.count = 0
        self.bytes = 0

    def put(self, place: Place[_T]) -> None:
        """Let somebody wait."""
        self._places.setdefault(place.owner, deque()).append(place)
        self.count += 1
        self.bytes += place.bytes

    def take(self) -> _T | None:
        """Whose turn it is, who then waits no longer; None where nobody waits."""
        if not self._places:
            return None
        owner, places = self._places.popitem(last=False)
        place = places.popleft()
        if places:
            self._places[owner] = places  # to the end of the round
        self.count -= 1
        self.bytes -= place.bytes
        return place.who

    def discard(self, place: Place[_T]) -> None:
        """Take somebody out who waits no longer, if he is still here."""
        places = self._places.get(place.owner)
        if places is None or place not in places:
            return
        places.remove(place)
        if not places:
            del self._places[place.owner]
        self.count -= 1
        self.bytes -= place.bytes
