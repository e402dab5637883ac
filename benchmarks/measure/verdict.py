"""Whether a run can carry conclusions: too short, too noisy, drifting, or held up by the tool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from sensorium.benchmarks.measure.record import RequestRecord
from sensorium.benchmarks.measure.statistics import Summary

__all__ = ["Warning_", "judge"]

_FEW_REQUESTS = 30
_SHORT_SECONDS = 10.0
_TAIL_REQUESTS = 10
_WIDE = 0.10
_DRIFT = 0.25
_FAILED = 0.01
_LAG = 0.10
_BUNCHED = 0.2
_AT_ONCE = 2e-5


class Warning_(TypedDict):  # noqa: N801 - `Warning` is Python's own
    """`code` for programs, `message` for people."""

    code: str
    message: str


def judge(
    records: Sequence[RequestRecord], seconds: float, latency: Summary | None
) -> list[Warning_]:
    """What is wrong with a level; nothing when it can be trusted.

    `latency` is the summary of end-to-end latencies in milliseconds.
    """
    good = [record for record in records if record.ok]
    found = [*_length(len(good), seconds), *_failures(records)]
    if latency is None:
        return found
    return [*found, *_noise(latency), *_drift(good), *_lag(good, latency), *_bunches(good)]


def _length(answered: int, seconds: float) -> list[Warning_]:
    found = []
    if answered < _FEW_REQUESTS or seconds < _SHORT_SECONDS:
        found.append(
            Warning_(
                code="too_short",
                message=f"too short: {answered} requests in {seconds:.1f} s; "
                f"want {_FEW_REQUESTS} and {_SHORT_SECONDS:.0f} s at least",
            )
        )
    elif answered * 0.01 < _TAIL_REQUESTS:
        found.append(
            Warning_(
                code="thin_tail",
                message=f"p99 of {answered} requests rests on {answered // 100} of them; "
                "it takes 1,000 requests",
            )
        )
    return found


def _failures(records: Sequence[RequestRecord]) -> list[Warning_]:
    failed = sum(not record.ok for record in records)
    if failed <= _FAILED * len(records):
        return []
    return [Warning_(code="failures", message=f"{failed} of {len(records)} requests failed")]


def _noise(latency: Summary) -> list[Warning_]:
    if latency["ci95"] is None or latency["mean"] <= 0:
        return []
    half = (latency["ci95"][1] - latency["ci95"][0]) / 2 / latency["mean"]
    if half <= _WIDE:
        return []
    return [
        Warning_(
            code="too_noisy",
            message=f"too noisy: the mean latency is only known to ±{half:.0%}; run longer",
        )
    ]


def _drift(good: Sequence[RequestRecord]) -> list[Warning_]:
    """Latency at the end against the beginning: a queue that grows, or a server that warms up."""
    if len(good) < _FEW_REQUESTS:
        return []
    third = len(good) // 3
    ordered = [record.e2e for record in sorted(good, key=lambda record: record.intended)]
    first, last = sum(ordered[:third]) / third, sum(ordered[-third:]) / third
    if first <= 0 or abs(last / first - 1) <= _DRIFT:
        return []
    what = "grew" if last > first else "fell"
    return [
        Warning_(
            code="not_steady",
            message=f"not steady: latency {what} from {first * 1e3:.0f} ms in the first third to "
            f"{last * 1e3:.0f} ms in the last",
        )
    ]


def _lag(good: Sequence[RequestRecord], latency: Summary) -> list[Warning_]:
    """Requests this tool sent late, as a share of the latency they are part of."""
    late = sum(record.prepared_late for record in good)
    found = []
    if late:
        found.append(
            Warning_(
                code="prepared_late",
                message=f"{late} requests were made while the run went on, which takes CPU; "
                "raise --prepare-mb",
            )
        )
    lags = sorted(record.send_lag for record in good)
    p99 = lags[int(0.99 * (len(lags) - 1))]
    if p99 * 1e3 > max(2.0, _LAG * latency["mean"]):
        found.append(
            Warning_(
                code="send_lag",
                message=f"this tool sent requests late (p99 {p99 * 1e3:.1f} ms): the machine is "
                "too busy, or --max-concurrency held them back",
            )
        )
    return found


def _bunches(good: Sequence[RequestRecord]) -> list[Warning_]:
    """Tokens that were read together: gaps of nearly nothing between long ones."""
    gaps = [gap for record in good for gap in record.itl]
    share = sum(gap < _AT_ONCE for gap in gaps) / len(gaps) if gaps else 0.0
    if share <= _BUNCHED:
        return []
    return [
        Warning_(
            code="bunched",
            message=f"{share:.0%} of the tokens arrived together with the one before: something on "
            "the way buffers, or the machine is too busy; TPOT and ITL are not the model's",
        )
    ]
