"""Limits that a request must keep to count as good, as `ttft:500 tpot:50` (milliseconds)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sensorium.benchmarks.measure.record import RequestRecord
from sensorium.serving.errors import UserError

__all__ = ["MEASURES", "is_good", "parse_limits"]

MEASURES = ("ttft", "tpot", "itl", "e2e")


def parse_limits(texts: Sequence[str]) -> dict[str, float]:
    """Seconds by measure; UserError for a measure or number that is none."""
    limits = {}
    for text in texts:
        name, _, number = text.partition(":")
        try:
            limit = float(number) / 1000
        except ValueError:
            limit = -1.0
        if name not in MEASURES or limit <= 0:
            raise UserError(
                f"--goodput {text}: write MEASURE:MILLISECONDS with one of {', '.join(MEASURES)}, "
                "as in ttft:500"
            )
        limits[name] = limit
    return limits


def is_good(record: RequestRecord, limits: Mapping[str, float]) -> bool:
    """Whether the request was answered within every limit.

    A limit on the gaps holds for their mean. A measure the request does not have is no breach: an
    answer of one token has no time per output token.
    """
    if not record.ok:
        return False
    gaps = record.itl
    values = {
        "ttft": record.ttft,
        "tpot": record.tpot,
        "itl": sum(gaps) / len(gaps) if gaps else None,
        "e2e": record.e2e,
    }
    return all((value := values[name]) is None or value <= limits[name] for name in limits)
