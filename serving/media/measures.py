"""Prometheus metrics of the media path: how long each stage took, how much went through it.

What vLLM's pull request 50875 proposes for its own server has the names proposed there, with
`sensorium` in `vllm`'s place; what it does not measure is named alike.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from sensorium.serving.media.fetch import FetchPolicy
from sensorium.serving.media.times import STAGE_BUCKETS, note

if TYPE_CHECKING:
    from sensorium.serving.media.pipeline import MediaPipeline
    from sensorium.serving.media.pool import Answer

__all__ = ["MediaMeasures"]

_BYTES = tuple(float(step * 10**power) for power in range(3, 9) for step in (1, 3))
_PIXELS = tuple(float(step * 10**power) for power in range(4, 9) for step in (1, 3))
_LENGTHS = (1, 3, 10, 30, 60, 180, 600, 1800, 3600, 7200, 14400)
# Stages, and what they are called in the names.
_STAGES = {"download": "download", "queue": "queue", "decode": "decode", "prepare": "preprocess"}
_STAGE_TEXTS = {
    "download": "Seconds until a file at a URL was here",
    "queue": "Seconds that a medium waited for a worker",
    "decode": "Seconds of decoding a medium",
    "prepare": "Seconds of making of a decoded medium what the model takes",
}


class MediaMeasures:
    """Counts of one pipeline, in a registry of their own."""

    def __init__(self, pipeline: MediaPipeline) -> None:
        self.registry = CollectorRegistry()
        self._stages = {
            stage: self._histogram(
                f"media_{name}_latency_seconds", _STAGE_TEXTS[stage], STAGE_BUCKETS
            )
            for stage, name in _STAGES.items()
        }
        self._downloaded = self._histogram(
            "media_download_bytes", "Bytes of a file at a URL", _BYTES
        )
        self._bytes = self._histogram("media_bytes", "Bytes of a file that was decoded", _BYTES)
        self._pixels = self._histogram(
            "media_pixels", "Pixels of a picture, or of the frames taken of a video", _PIXELS
        )
        self._lengths = self._histogram(
            "media_seconds", "Seconds that a sound or a video lasts", _LENGTHS
        )
        self._resolving = self._histogram(
            "resolve_items_latency_seconds",
            "Seconds until a request's media were loaded",
            STAGE_BUCKETS,
            (),
        )
        self._preprocessing = self._histogram(
            "preprocessing_total_latency_seconds",
            "Seconds until the prompt of a request with media was ready for the engine",
            STAGE_BUCKETS,
            (),
        )
        self._items = Counter(
            "sensorium_media_items",
            "Media, by what became of them",
            ["media_type", "outcome"],
            registry=self.registry,
        )
        self._tell_state(pipeline)
        self._tell_limits(pipeline)
        self.registry.register(_Downloads(pipeline))
        self.registry.register(_Caches(pipeline))

    def hit(self, media: str) -> None:
        """A medium that had been prepared already."""
        self._items.labels(media, "cached").inc()

    def failed(self, media: str) -> None:
        """A medium that could not be used."""
        self._items.labels(media, "refused").inc()

    def downloaded(self, media: str, seconds: float, size: int) -> None:
        """A file of so many bytes that was fetched, or was here still."""
        self._took("download", media, seconds)
        self._downloaded.labels(media).observe(size)

    def worked(
        self,
        media: str,
        answer: Answer,
        size: int = 0,
        *,
        pixels: int = 0,
        seconds: float = 0.0,
        outcome: str = "prepared",
    ) -> None:
        """A medium that a worker prepared, from a file of so many bytes or what was `decoded`."""
        self.took(media, answer)
        self._items.labels(media, outcome).inc()
        amounts = ((self._bytes, size), (self._pixels, pixels), (self._lengths, seconds))
        for histogram, amount in amounts:
            if amount:
                histogram.labels(media).observe(amount)

    def took(self, media: str, answer: Answer) -> None:
        """How long a worker's answer took."""
        self._took("queue", media, answer.waited)
        for stage, milliseconds in answer.header["milliseconds"].items():
            self._took(stage, media, milliseconds / 1000)

    def resolved(self, seconds: float) -> None:
        """A request whose media were loaded in so long."""
        self._resolving.observe(seconds)

    def preprocessed(self, seconds: float) -> None:
        """A request with media whose prompt was ready in so long."""
        self._preprocessing.observe(seconds)

    def _took(self, stage: str, media: str, seconds: float) -> None:
        self._stages[stage].labels(media).observe(seconds)
        note(stage, seconds)

    def _histogram(
        self,
        name: str,
        text: str,
        buckets: tuple[float, ...],
        labels: tuple[str, ...] = ("media_type",),
    ) -> Histogram:
        whole = f"sensorium_mm_{name}"
        return Histogram(whole, text, labels, buckets=buckets, registry=self.registry)

    def _tell_state(self, pipeline: MediaPipeline) -> None:
        waiting = Gauge(
            "sensorium_media_waiting", "Media that wait for a worker", registry=self.registry
        )
        waiting.set_function(lambda: pipeline.pool.waiting + pipeline.recordings.waiting)
        cached = Gauge(
            "sensorium_media_cache_bytes",
            "Bytes of media that are kept: prepared ones, and files as they were fetched",
            ["stage"],
            registry=self.registry,
        )
        cached.labels("prepared").set_function(lambda: pipeline.prepared.bytes)
        cached.labels("decoded").set_function(lambda: pipeline.decoded.kept.bytes)
        cached.labels("fetched").set_function(lambda: pipeline.downloads.bytes)
        replaced = Gauge(
            "sensorium_media_workers_replaced",
            "Workers that broke down or took too long since the start",
            registry=self.registry,
        )
        replaced.set_function(lambda: pipeline.pool.replaced + pipeline.recordings.replaced)

    def _tell_limits(self, pipeline: MediaPipeline) -> None:
        limits, request, pool = pipeline.limits, pipeline.limits.request, pipeline.pool.options
        told = Gauge(
            "sensorium_mm_limit",
            "What media may be, each and in a request; 0 is no limit",
            ["limit"],
            registry=self.registry,
        )
        values = {
            "file_bytes": FetchPolicy.max_bytes,
            "pixels": limits.pixels,
            "sound_seconds": limits.seconds,
            "video_seconds": limits.video_seconds,
            "video_frames": limits.frames,
            "request_items": request.items,
            "request_bytes": request.bytes,
            "request_pixels": request.pixels,
            "request_sound_seconds": request.seconds,
            "request_tokens": request.tokens,
            "worker_seconds": pool.seconds,
            "waiting": pool.waiting,
            "waiting_bytes": pool.waiting_bytes,
            "cache_bytes": limits.cache_bytes,
        }
        for name, value in values.items():
            told.labels(name).set(value)


class _Downloads(Collector):
    """How files at URLs came, by the counts that the downloads keep."""

    def __init__(self, pipeline: MediaPipeline) -> None:
        self._pipeline = pipeline

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The one counter."""
        text = "Files at URLs, by how they came"
        family = CounterMetricFamily("sensorium_media_downloads", text, labels=["outcome"])
        for outcome, count in self._pipeline.downloads.counts.items():
            family.add_metric([outcome], count)
        yield family


class _Caches(Collector):
    """Look-ups of each stage's cache, by the counts that the caches keep."""

    def __init__(self, pipeline: MediaPipeline) -> None:
        self._pipeline = pipeline

    def collect(self) -> Iterator[CounterMetricFamily]:
        """How many there were, and how many found something."""
        counted = functools.partial(CounterMetricFamily, labels=["stage"])
        queries = counted("sensorium_mm_cache_queries", "Media that a stage's cache was asked for")
        hits = counted("sensorium_mm_cache_hits", "Media that it had, or that were just being made")
        downloads = self._pipeline.downloads.counts
        asked = sum(downloads.values())
        queries.add_metric(["fetched"], asked)
        hits.add_metric(["fetched"], asked - downloads["fetched"])
        decoded, prepared = self._pipeline.decoded.kept, self._pipeline.prepared
        queries.add_metric(["decoded"], decoded.hits + decoded.misses)
        hits.add_metric(["decoded"], decoded.hits)
        queries.add_metric(["prepared"], prepared.hits + prepared.misses)
        hits.add_metric(["prepared"], prepared.hits)
        yield queries
        yield hits
