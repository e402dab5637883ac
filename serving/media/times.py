"""Times of media: buckets of the histograms, and what a request that asks is told of its own."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

__all__ = ["STAGE_BUCKETS", "TIMES", "RequestTimes", "note"]

# Seconds that a stage of one medium takes.
STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)

# What the engine's front end calls its times, and what they are called in an answer.
_ENGINE = {
    "queue_time_ms": "queue_ms",
    "time_to_first_token_ms": "time_to_first_token_ms",
    "generation_time_ms": "generation_ms",
    "mean_itl_ms": "mean_itl_ms",
    "tokens_per_second": "tokens_per_second",
}


@dataclass
class RequestTimes:
    """Seconds by stage, added up over the request's media, and when the request came.

    Stages of media that are worked on side by side may add up to more than the request took.
    `sent` are the engine's ids of it, and `encoded` asks how long it encoded their media.
    """

    began: float = field(default_factory=time.perf_counter)
    media: dict[str, float] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    encoded: Callable[[], Awaitable[float]] | None = None

    async def complete(self) -> None:
        """Learn what only the engine knows; for when the answer is there."""
        if self.encoded is not None:
            ask, self.encoded = self.encoded, None
            if seconds := await ask():
                self.media["encode"] = seconds

    def header(self) -> str:
        """The value of a `Server-Timing` header (milliseconds), as known by now."""
        stages = {f"media-{stage}": seconds for stage, seconds in self.media.items()}
        stages["total"] = time.perf_counter() - self.began
        return ", ".join(f"{name};dur={1000 * value:.2f}" for name, value in stages.items())

    def report(self, engine: dict[str, Any] | None) -> dict[str, Any]:
        """The `timings` of an answer; `engine` is what vLLM measured."""
        found = {ours: (engine or {}).get(name) for name, ours in _ENGINE.items()}
        return {
            "media_ms": {stage: round(1000 * value, 3) for stage, value in self.media.items()},
            **{name: round(value, 3) for name, value in found.items() if value is not None},
            "total_ms": round(1000 * (time.perf_counter() - self.began), 3),
        }


TIMES: ContextVar[RequestTimes | None] = ContextVar("request_times", default=None)


def note(stage: str, seconds: float) -> None:
    """Add a stage's seconds to the request in hand, if it asked for them."""
    times = TIMES.get()
    if times is not None:
        times.media[stage] = times.media.get(stage, 0.0) + seconds
