"""Prometheus metrics of the media path: how long each stage took, how much went through it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from sensorium.serving.media.times import note

if TYPE_CHECKING:
    from sensorium.serving.media.pipeline import MediaPipeline
    from sensorium.serving.media.pool import Answer

__all__ = ["MediaMeasures"]

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)


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


class MediaMeasures:
    """Counts of one pipeline, in a registry of their own."""

    def __init__(self, pipeline: MediaPipeline) -> None:
        self.registry = CollectorRegistry()
        self.seconds = Histogram(
            "sensorium_media_stage_seconds",
            "Seconds of one medium in a stage: download, queue, decode, prepare",
            ["stage", "media"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._bytes = self._counter("bytes", "Bytes of files")
        self._pixels = self._counter("pixels", "Pixels of pictures and frames that were decoded")
        self._items = self._counter("items", "Media, by what became of them", "outcome")
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
        self.registry.register(_Downloads(pipeline))
        replaced = Gauge(
            "sensorium_media_workers_replaced",
            "Workers that broke down or took too long since the start",
            registry=self.registry,
        )
        replaced.set_function(lambda: pipeline.pool.replaced + pipeline.recordings.replaced)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"sensorium_media_{name}", text, ["media", *labels], registry=self.registry)

    def hit(self, media: str) -> None:
        """A medium that had been prepared already."""
        self._items.labels(media, "cached").inc()

    def failed(self, media: str) -> None:
        """A medium that could not be used."""
        self._items.labels(media, "refused").inc()

    def downloaded(self, seconds: float) -> None:
        """A medium that was fetched; what it is, is not known yet."""
        self._took("download", "any", seconds)

    def worked(
        self,
        media: str,
        answer: Answer,
        size: int = 0,
        pixels: int = 0,
        outcome: str = "prepared",
    ) -> None:
        """A medium that a worker prepared, from a file of so many bytes or what was `decoded`."""
        self._items.labels(media, outcome).inc()
        self._bytes.labels(media).inc(size)
        self._pixels.labels(media).inc(pixels)
        self.took(media, answer)

    def took(self, media: str, answer: Answer) -> None:
        """How long a worker's answer took."""
        self._took("queue", media, answer.waited)
        for stage, milliseconds in answer.header["milliseconds"].items():
            self._took(stage, media, milliseconds / 1000)

    def _took(self, stage: str, media: str, seconds: float) -> None:
        self.seconds.labels(stage, media).observe(seconds)
        note(stage, seconds)
