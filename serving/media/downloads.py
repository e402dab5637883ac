"""Files fetched lately, kept as long as their servers allow, each fetched once at a time.

The rules are those of a shared HTTP cache (RFC 9111): what is fresh is used again, what has a
validator is asked for with it, and what came with neither, or may not be kept, is fetched anew. An
age is never guessed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import mktime_tz, parsedate_tz
from hashlib import sha256

from sensorium.serving.media.budget import MediaBudgetError, spend
from sensorium.serving.media.cache import SingleFlightCache
from sensorium.serving.media.content import Content
from sensorium.serving.media.fetch import (
    Fetched,
    FetchPolicy,
    Resolver,
    Validator,
    fetch_answer,
    resolve,
)

__all__ = ["OUTCOMES", "Downloads", "fresh_seconds"]

# How a file came: over the network, from here, from here after the server said that it still holds,
# with another request that was just fetching it.
OUTCOMES = ("fetched", "fresh", "unchanged", "shared")
_LONGEST = 24 * 3600.0


@dataclass(frozen=True)
class _Download:
    content: Content
    fresh_until: float  # of time.monotonic
    validator: Validator | None

    @property
    def nbytes(self) -> int:
        return len(self.content)

    def fresh(self) -> bool:
        return time.monotonic() < self.fresh_until

    def kept(self) -> bool:
        return self.validator is not None or self.fresh()


@dataclass
class Downloads:
    """Downloads of one server, at most `limit` bytes of them; belongs to one event loop."""

    limit: int
    resolver: Resolver = resolve
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))

    def __post_init__(self) -> None:
        self._files = SingleFlightCache[_Download](
            self.limit, usable=_Download.fresh, kept=_Download.kept
        )

    @property
    def bytes(self) -> int:
        """What is kept."""
        return self._files.bytes

    async def get(self, url: str, policy: FetchPolicy) -> Content:
        """The bytes at `url`, spent of the request's budget; raises what `fetch.fetch` raises."""
        key = sha256(f"{policy!r} {url}".encode()).digest()
        while True:
            flight = _Flight(url, policy, self.resolver, self._files.peek(key))
            shared = self._files.making(key)
            try:
                found = await self._files.get(key, flight.make)
            except MediaBudgetError:
                if flight.outcome:
                    raise
                # Another request could not afford it, which says nothing of this one.
                continue
            if not flight.outcome:
                spend("bytes", len(found.content))
            self.counts[flight.outcome or ("shared" if shared else "fresh")] += 1
            return found.content


@dataclass
class _Flight:
    """One fetching; `outcome` is empty until it has begun."""

    url: str
    policy: FetchPolicy
    resolver: Resolver
    stale: _Download | None
    outcome: str = ""

    async def make(self) -> _Download:
        self.outcome = "fetched"
        known = self.stale.validator if self.stale is not None else None
        answer = await fetch_answer(self.url, self.policy, self.resolver, known)
        content = answer.content
        if content is None:
            assert self.stale is not None, "only what was known can be unchanged"
            self.outcome, content = "unchanged", self.stale.content
            spend("bytes", len(content))
        return _Download(content, *_keeping(answer, known))


def _keeping(answer: Fetched, known: Validator | None) -> tuple[float, Validator | None]:
    """Until when a file is fresh, and what to ask for it with later."""
    directives = _directives(answer.headers)
    if {"no-store", "private"} & directives.keys() or answer.headers.get("vary") == "*":
        return 0.0, None
    # A redirect may lead elsewhere tomorrow, so only a direct answer is used without asking.
    seconds = fresh_seconds(answer.headers) if answer.direct else 0.0
    held = known if answer.content is None else None
    return time.monotonic() + seconds, answer.validator() or held


def fresh_seconds(headers: Mapping[str, str]) -> float:
    """How many seconds an answer with these headers may be used without asking (RFC 9111, 4.2)."""
    directives = _directives(headers)
    if "no-cache" in directives:
        return 0.0
    age = _number(headers.get("age", "")) or 0.0
    for name in ("s-maxage", "max-age"):
        if name in directives:
            lifetime = _number(directives[name])
            return 0.0 if lifetime is None else min(max(lifetime - age, 0.0), _LONGEST)
    expires, date = (parsedate_tz(headers.get(name, "")) for name in ("expires", "date"))
    if expires is None or date is None:
        return 0.0
    return float(min(max(mktime_tz(expires) - mktime_tz(date) - age, 0.0), _LONGEST))


def _directives(headers: Mapping[str, str]) -> dict[str, str]:
    parts = (part.partition("=") for part in headers.get("cache-control", "").split(","))
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in parts}


def _number(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() else None
