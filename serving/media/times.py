"""How long the media of the request in hand took, for requests that ask."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

__all__ = ["TIMES", "RequestTimes", "note"]

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
    """

    began: float = field(default_factory=time.perf_counter)
    media: dict[str, float] = field(default_factory=dict)

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
