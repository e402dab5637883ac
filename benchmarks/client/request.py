"""A request ready to be sent: all its bytes, made before its time is due."""

from __future__ import annotations

from dataclasses import dataclass

from sensorium.benchmarks.measure.record import MediaFact

__all__ = ["PreparedRequest"]


@dataclass(frozen=True)
class PreparedRequest:
    """Path, body and what is known of it. `streams` says whether events are expected."""

    path: str
    body: bytes
    content_type: str = "application/json"
    media: tuple[MediaFact, ...] = ()
    streams: bool = True
