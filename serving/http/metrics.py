"""Prometheus metrics of the HTTP side, and one exposition for them and every engine's."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sensorium.serving.http.turns import Pauses

__all__ = ["HttpMetrics", "exposition"]

_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_LAG_BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class HttpMetrics:
    """Requests by route, model and status; how long they took; how many run."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "sensorium_requests",
            "Requests answered",
            ["route", "model", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "sensorium_request_seconds",
            "Seconds from the first byte of a request to the last of its answer",
            ["route", "model"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.loop_lag = Histogram(
            "sensorium_event_loop_lag_seconds",
            "Seconds that a turn of the event loop held up everything else, from 1 ms on",
            buckets=_LAG_BUCKETS,
            registry=self.registry,
        )
        self.loop_work = Histogram(
            "sensorium_event_loop_cpu_seconds",
            "CPU seconds of the event loop's thread in one of its turns, from 1 ms on",
            buckets=_LAG_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "sensorium_requests_in_flight",
            "Requests being worked on",
            registry=self.registry,
        )
        self.ready = Gauge(
            "sensorium_ready", "1 while the server takes requests", registry=self.registry
        )
        self.load_seconds = Gauge(
            "sensorium_model_load_seconds",
            "Seconds a model took to load",
            ["model"],
            registry=self.registry,
        )


class _Family(Collector):
    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return [self._family]


async def exposition(registries: Iterable[CollectorRegistry]) -> bytes:
    """The text that `/metrics` answers: the registries as one, a family of each name.

    An engine's takes 5 ms or more, in which requests would wait.
    """
    pauses = Pauses()
    families: dict[str, Metric] = {}
    for registry in registries:
        for family in registry.collect():
            known = families.setdefault(family.name, family)
            if known is not family:
                known.samples.extend(family.samples)
            await pauses.pause()
    texts: list[bytes] = []
    for family in families.values():
        texts.append(generate_latest(_Family(family)))
        await pauses.pause()
    return b"".join(texts)
