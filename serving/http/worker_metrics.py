"""What engines' workers tell: metrics, and the part of `/version` on projection kernels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from sensorium.serving.media.times import STAGE_BUCKETS
from sensorium.serving.models import Encoding, ModelTable, WorkerReport

__all__ = ["projection_lines", "summary", "worker_registry", "worker_reports"]

_KEPT = "model's dtype"


async def worker_reports(models: ModelTable) -> dict[str, WorkerReport]:
    """What each loaded model says, by the model's first name."""
    loaded = [(slot.name, slot.model) for slot in models.slots if slot.model is not None]
    return {name: await model.report() for name, model in loaded}


def summary(uses: Mapping[str, WorkerReport]) -> dict[str, dict[str, dict[str, str]]]:
    """For each model and operator the implementation that ran last, and why."""
    return {
        name: {
            op: {"implementation": implementation, "reason": reason}
            for op, implementation, reason in use.calls
        }
        for name, use in uses.items()
    }


def projection_lines(name: str, use: WorkerReport) -> list[str]:
    """What was decided on projection in e4m3, in a sentence for the log."""
    return [
        f"{name} projects media in {'its own dtype' if kept == _KEPT else kept}: {reason}"
        for op, kept, reason in use.calls
        if op == "fp8 projection"
    ]


class _Reports(Collector):
    def __init__(self, reports: Mapping[str, WorkerReport]) -> None:
        self._reports = reports

    def collect(self) -> Iterator[Metric]:
        """Both families, also where nothing has happened yet."""
        yield self._calls()
        yield self._encoding()

    def _calls(self) -> Metric:
        family = CounterMetricFamily(
            "sensorium_projection_kernel_calls",
            "Calls of projection operators, and why that implementation ran",
            labels=["model", "op", "implementation", "reason"],
        )
        for name, report in self._reports.items():
            for labels, count in report.calls.items():
                family.add_metric([name, *labels], count)
        return family

    def _encoding(self) -> Metric:
        family = HistogramMetricFamily(
            "sensorium_mm_media_encode_latency_seconds",
            "Seconds that a medium took the vision tower or encoder, its share of those with it",
            labels=["model", "media_type"],
        )
        for name, report in self._reports.items():
            for media, encoding in report.encoding.items():
                buckets = _summed(encoding)
                family.add_metric([name, media], buckets, sum_value=encoding.seconds)
        return family


def _summed(encoding: Encoding) -> list[tuple[str, float]]:
    bounds = [*(str(float(bound)) for bound in STAGE_BUCKETS), "+Inf"]
    return [*zip(bounds, accumulate(encoding.counts), strict=True)]


def worker_registry(reports: Mapping[str, WorkerReport]) -> CollectorRegistry:
    """A registry that holds what they count."""
    registry = CollectorRegistry()
    registry.register(_Reports(reports))
    return registry
