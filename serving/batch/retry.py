"""Which failures are worth another try, and when."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

__all__ = ["BUSY_STATUSES", "RetryPolicy"]

# The server has too much to do, is starting, or is not there behind its proxy: not the row's doing.
BUSY_STATUSES = frozenset({429, 502, 503, 504})
_RETRYABLE_STATUSES = frozenset({408, 409, 425, 500, *BUSY_STATUSES})


@dataclass
class RetryPolicy:
    """At most `retries` further tries, after pauses that double from `first` to `longest` seconds.

    Pauses are shortened by up to a half at random (seeded), so that rows refused together do not
    come back together. A server's Retry-After is the least that is waited.
    """

    retries: int = 8
    first: float = 0.5
    longest: float = 30.0
    seed: int = 0
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def retryable(self, status: int) -> bool:
        """Whether a request answered so may succeed later."""
        return status in _RETRYABLE_STATUSES or status > 504

    def pause(self, tries: int, retry_after: float | None = None) -> float:
        """Seconds to wait after `tries` failed tries (1 or more)."""
        longest = min(self.longest, self.first * 2.0 ** min(tries - 1, 30))
        return max(retry_after or 0.0, longest * (1 - self._random.random() / 2))
