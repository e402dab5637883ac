"""What the server's own metrics say of a level: stages, caches, tokens; from two scrapes.

Names of Sensorium, of stock vLLM 0.32, and those vLLM's pull request 50875 proposes for media. A
stage that no metric reports is absent, not zero.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

__all__ = ["CACHES", "STAGES", "CacheUse", "Scrape", "StageTime", "caches", "parse", "stages"]

# `name[stage]` are the samples of `name` with that label `stage`.
STAGES: dict[str, tuple[str, ...]] = {
    "download": (
        "sensorium_mm_media_download_latency_seconds",
        "vllm:mm_media_download_latency_seconds",
    ),
    "media queue": ("sensorium_mm_media_queue_latency_seconds",),
    "media decode": (
        "sensorium_mm_media_decode_latency_seconds",
        "vllm:mm_media_decode_latency_seconds",
    ),
    "prepare": (
        "sensorium_mm_media_preprocess_latency_seconds",
        "vllm:mm_preprocessing_total_latency_seconds",
    ),
    "queue": ("vllm:request_queue_time_seconds",),
    "encode": (
        "sensorium_mm_media_encode_latency_seconds",
        "vllm:mm_encoder_latency_seconds",
    ),
    "prefill": ("vllm:request_prefill_time_seconds",),
    "decode": ("vllm:request_decode_time_seconds",),
    "engine, whole": ("vllm:e2e_request_latency_seconds",),
}
# Counters of look-ups, and those of them that found something.
CACHES: dict[str, tuple[tuple[str, ...], str]] = {
    "prefix cache (tokens)": (("vllm:prefix_cache_queries_total",), "vllm:prefix_cache_hits_total"),
    "processor cache (media)": (("vllm:mm_cache_queries_total",), "vllm:mm_cache_hits_total"),
    "prepared media": (
        ("sensorium_mm_cache_queries_total[prepared]",),
        "sensorium_mm_cache_hits_total[prepared]",
    ),
}
_SUFFIXES = ("_bucket", "_sum", "_count", "_created")
_Buckets = dict[float, float]


class StageTime(TypedDict):
    """Milliseconds in a stage, by the server's clock; p90 is read off buckets.

    Of a request, except download, media queue, media decode, prepare and encode: those are of a
    medium.
    """

    count: int
    mean_ms: float
    p90_ms: float | None
    metric: str


class CacheUse(TypedDict):
    """Look-ups and hits of a cache during a level."""

    queries: float
    hits: float
    hit_rate: float | None


@dataclass
class Scrape:
    """Samples added up over labels: values by sample name, bucket counts by histogram."""

    values: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    buckets: dict[str, _Buckets] = field(default_factory=lambda: defaultdict(dict))


def parse(text: str, model: str | None = None) -> Scrape:
    """Read Prometheus' text format. With `model`, other models' samples are left out."""
    from prometheus_client.parser import text_string_to_metric_families

    found = Scrape()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            named = sample.labels.get("model_name") or sample.labels.get("model")
            if model and named and named != model:
                continue
            name, suffix = _names(sample.name, sample.labels)
            if suffix == "_bucket":
                bound = float(sample.labels["le"])
                buckets = found.buckets[name]
                buckets[bound] = buckets.get(bound, 0.0) + sample.value
            else:
                found.values[name + suffix] += sample.value
    return found


def _names(name: str, labels: Mapping[str, str]) -> tuple[str, str]:
    """The metric's name with its stage or outcome, and the suffix of a histogram's sample."""
    suffix = next((one for one in _SUFFIXES if name.endswith(one)), "")
    label = labels.get("stage") or labels.get("outcome")
    return name.removesuffix(suffix) + (f"[{label}]" if label else ""), suffix


def stages(before: Scrape, after: Scrape) -> dict[str, StageTime]:
    """Time by stage of the requests that ended between the scrapes."""
    times = {}
    for stage, names in STAGES.items():
        for name in names:
            count = _gain(before, after, f"{name}_count")
            if count > 0:
                times[stage] = StageTime(
                    count=int(count),
                    mean_ms=1e3 * _gain(before, after, f"{name}_sum") / count,
                    p90_ms=_quantile(before.buckets[name], after.buckets[name], 0.9),
                    metric=name,
                )
                break
    return times


def caches(before: Scrape, after: Scrape) -> dict[str, CacheUse]:
    """Hits by cache; a cache the server does not report is absent."""
    used = {}
    for cache, (asked, found) in CACHES.items():
        if any(name in after.values for name in asked):
            queries = sum(_gain(before, after, name) for name in asked)
            hits = _gain(before, after, found)
            rate = hits / queries if queries else None
            used[cache] = CacheUse(queries=queries, hits=hits, hit_rate=rate)
    return used


def _gain(before: Scrape, after: Scrape, name: str) -> float:
    return after.values.get(name, 0.0) - before.values.get(name, 0.0)


def _quantile(before: _Buckets, after: _Buckets, share: float) -> float | None:
    """Milliseconds, by straight interpolation in the bucket as Prometheus does."""
    counts = [(bound, after[bound] - before.get(bound, 0.0)) for bound in sorted(after)]
    if not counts or counts[-1][1] <= 0:
        return None
    wanted = share * counts[-1][1]
    low, below = 0.0, 0.0
    for bound, count in counts:
        if count >= wanted:
            if math.isinf(bound):
                return 1e3 * low
            return 1e3 * (low + (bound - low) * (wanted - below) / max(count - below, 1e-12))
        low, below = bound, count
    return None
