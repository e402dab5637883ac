"""One request as the client saw it. The formulas are those of docs/benchmarking.md.

All times are seconds on `time.perf_counter` since the level began. Latencies count from the
*intended* send time: a generator or server that falls behind makes them longer, never shorter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

__all__ = ["MediaFact", "RequestRecord"]


@dataclass(frozen=True)
class MediaFact:
    """A medium of a request: what it is, its size on the wire, and whether it was sent before.

    `amount` is megapixels of an image, seconds of a sound, frames of a video.
    """

    kind: str
    amount: float
    size: int
    label: str
    reused: bool = False


@dataclass
class RequestRecord:
    """When a request was due, went out and was answered, and what it held.

    `events` are the arrivals of the events of a stream that carried text. `error` is None, or the
    kind of failure (`http_429`, `connect`, `disconnect`, `timeout`, `bad_answer`, `error_event`).
    """

    index: int
    intended: float
    sent: float = 0.0
    ended: float = 0.0
    events: list[float] = field(default_factory=list)
    streamed: bool = False
    error: str | None = None
    detail: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    media_tokens: dict[str, int] = field(default_factory=dict)
    cached_tokens: int = 0
    bytes_up: int = 0
    media: tuple[MediaFact, ...] = ()
    prepared_late: bool = False

    @property
    def ok(self) -> bool:
        """Whether it was answered to its end."""
        return self.error is None

    @property
    def send_lag(self) -> float:
        """Sent minus intended."""
        return self.sent - self.intended

    @property
    def ttft(self) -> float | None:
        """Time to first token: first event with text minus intended; None without a stream."""
        return self.events[0] - self.intended if self.events else None

    @property
    def e2e(self) -> float:
        """End to end: last event with text (without a stream the end of the answer) - intended."""
        return (self.events[-1] if self.events else self.ended) - self.intended

    @property
    def tpot(self) -> float | None:
        """Time per output token: (e2e - ttft) / (output tokens - 1); None for less than two."""
        if not self.events or self.output_tokens < 2:
            return None
        return (self.events[-1] - self.events[0]) / (self.output_tokens - 1)

    @property
    def itl(self) -> list[float]:
        """Inter-token latencies: the gaps between successive events with text."""
        return [after - before for before, after in pairwise(self.events)]
