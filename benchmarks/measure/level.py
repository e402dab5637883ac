"""Everything measured at one level of load, as the JSON document has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from sensorium.benchmarks.load.runner import LevelRun
from sensorium.benchmarks.measure.goodput import is_good
from sensorium.benchmarks.measure.processes import ProcessUse
from sensorium.benchmarks.measure.record import RequestRecord
from sensorium.benchmarks.measure.server_metrics import CacheUse, StageTime
from sensorium.benchmarks.measure.statistics import Summary, summarize
from sensorium.benchmarks.measure.verdict import Warning_, judge

__all__ = ["LevelResult", "ServerSide", "SizeResult", "measure_level"]


class SizeResult(TypedDict):
    """Requests with media of one kind and size. `amount` as in `MediaFact`, summed a request."""

    label: str
    kind: str
    requests: int
    amount: float
    bytes: float
    ttft_ms: Summary | None
    e2e_ms: Summary | None


class LevelResult(TypedDict):
    """One level. Latencies in milliseconds, rates a second; docs/benchmarking.md defines them."""

    name: str
    concurrency: int | None
    rate: float | None
    seconds: float
    requests: int
    answered: int
    errors: dict[str, int]
    error_examples: dict[str, str]
    ttft_ms: Summary | None
    tpot_ms: Summary | None
    itl_ms: Summary | None
    e2e_ms: Summary | None
    send_lag_ms: Summary | None
    requests_per_second: float
    output_tokens_per_second: float
    input_tokens_per_second: float
    goodput_per_second: float | None
    tokens: dict[str, int]
    tokens_per_event: float | None
    bytes_up: int
    media: dict[str, float]
    by_size: list[SizeResult]
    stages: dict[str, StageTime]
    caches: dict[str, CacheUse]
    server: ProcessUse | None
    own_cpu_ms_per_request: float
    load_average: float | None
    warnings: list[Warning_]


@dataclass(frozen=True)
class ServerSide:
    """What was learnt of the server during a level, beside its answers."""

    stages: dict[str, StageTime]
    caches: dict[str, CacheUse]
    processes: ProcessUse | None
    load_average: float | None


def measure_level(
    run: LevelRun, limits: Mapping[str, float], server: ServerSide, *, seed: int = 0
) -> LevelResult:
    """Sum up a level; only answered requests count for latencies, tokens and rates."""
    good = sorted((r for r in run.records if r.ok), key=lambda record: record.intended)
    seconds = _span(good) or run.seconds
    e2e = _milliseconds(good, lambda r: [r.e2e], seed)
    events = sum(len(r.events) for r in good)
    output = sum(r.output_tokens for r in good)
    return LevelResult(
        name=run.level.name,
        concurrency=run.level.concurrency,
        rate=run.level.arrivals.rate if run.level.arrivals else None,
        seconds=seconds,
        requests=len(run.records),
        answered=len(good),
        errors=dict(Counter(r.error for r in run.records if r.error)),
        error_examples={r.error: r.detail[:200] for r in run.records if r.error},
        ttft_ms=_milliseconds(good, lambda r: [] if r.ttft is None else [r.ttft], seed),
        tpot_ms=_milliseconds(good, lambda r: [] if r.tpot is None else [r.tpot], seed),
        itl_ms=_milliseconds(good, lambda r: r.itl, seed),
        e2e_ms=e2e,
        send_lag_ms=_milliseconds(good, lambda r: [r.send_lag], seed),
        requests_per_second=len(good) / seconds if seconds else 0.0,
        output_tokens_per_second=output / seconds if seconds else 0.0,
        input_tokens_per_second=sum(r.input_tokens for r in good) / seconds if seconds else 0.0,
        goodput_per_second=(
            sum(is_good(r, limits) for r in good) / seconds if limits and seconds else None
        ),
        tokens=_tokens(good),
        tokens_per_event=output / events if events else None,
        bytes_up=sum(r.bytes_up for r in good),
        media=_media(good),
        by_size=_by_size(good, seed),
        stages=server.stages,
        caches=server.caches,
        server=server.processes,
        own_cpu_ms_per_request=1e3 * run.own_cpu_seconds / max(1, len(run.records)),
        load_average=server.load_average,
        warnings=judge(run.records, seconds, e2e),
    )


def _span(good: Sequence[RequestRecord]) -> float:
    """From the first intended send to the end of the last answer."""
    if not good:
        return 0.0
    return max(r.ended for r in good) - min(r.intended for r in good)


def _milliseconds(
    records: Iterable[RequestRecord], read: Callable[[RequestRecord], list[float]], seed: int
) -> Summary | None:
    return summarize([[1e3 * value for value in read(r)] for r in records], seed=seed)


def _tokens(good: Sequence[RequestRecord]) -> dict[str, int]:
    total = Counter(
        input=sum(r.input_tokens for r in good),
        output=sum(r.output_tokens for r in good),
        cached=sum(r.cached_tokens for r in good),
    )
    for record in good:
        total.update(record.media_tokens)
    return dict(total)


def _media(good: Sequence[RequestRecord]) -> dict[str, float]:
    """Media sent and the share of them sent before; sums of `amount` by kind."""
    facts = [fact for record in good for fact in record.media]
    if not facts:
        return {}
    total: Counter[str] = Counter()
    for fact in facts:
        unit = {"image": "megapixels", "audio": "audio_seconds", "video": "frames"}[fact.kind]
        total[unit] += fact.amount  # type: ignore[assignment]
    return {
        "count": len(facts),
        "reused_share": sum(fact.reused for fact in facts) / len(facts),
        "bytes": sum(fact.size for fact in facts),
        **dict[str, Any](total),
    }


def _by_size(good: Sequence[RequestRecord], seed: int) -> list[SizeResult]:
    """Requests whose media are all of one kind and size, smallest first."""
    groups: dict[tuple[str, str], list[RequestRecord]] = {}
    for record in good:
        looks = {(fact.kind, fact.label) for fact in record.media}
        if len(looks) == 1:
            groups.setdefault(looks.pop(), []).append(record)
    found = [
        SizeResult(
            label=label,
            kind=kind,
            requests=len(records),
            amount=sum(f.amount for r in records for f in r.media) / len(records),
            bytes=sum(f.size for r in records for f in r.media) / len(records),
            ttft_ms=_milliseconds(records, lambda r: [] if r.ttft is None else [r.ttft], seed),
            e2e_ms=_milliseconds(records, lambda r: [r.e2e], seed),
        )
        for (kind, label), records in groups.items()
    ]
    return sorted(found, key=lambda size: (size["kind"], size["amount"]))
