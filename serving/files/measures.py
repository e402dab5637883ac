"""Prometheus metrics of the batches that a server works on."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

__all__ = ["BatchMetrics"]


class BatchMetrics:
    """Rows by what became of them, and how many batches are under way (`running` tells)."""

    def __init__(self, running: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self.rows = Counter(
            "sensorium_batch_rows",
            "Rows of batches that were finished",
            ["outcome"],
            registry=self.registry,
        )
        batches = Gauge(
            "sensorium_batches_running", "Batches being worked on", registry=self.registry
        )
        batches.set_function(running)
