"""Which projection kernels ran: the metric and the part of `/version`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from sensorium.serving.models import KernelUse, ModelTable

__all__ = ["kernel_registry", "kernel_uses", "projection_lines", "summary"]

_KEPT = "model's dtype"


async def kernel_uses(models: ModelTable) -> dict[str, KernelUse]:
    """What each loaded model says, by the model's first name."""
    loaded = [(slot.name, slot.model) for slot in models.slots if slot.model is not None]
    return {name: await model.kernels() for name, model in loaded}


def summary(uses: Mapping[str, KernelUse]) -> dict[str, dict[str, dict[str, str]]]:
    """For each model and operator the implementation that ran last, and why."""
    return {
        name: {
            op: {"implementation": implementation, "reason": reason}
            for op, implementation, reason in use.calls
        }
        for name, use in uses.items()
    }


def projection_lines(name: str, use: KernelUse) -> list[str]:
    """What was decided on projection in e4m3, in a sentence for the log."""
    return [
        f"{name} projects media in {'its own dtype' if kept == _KEPT else kept}: {reason}"
        for op, kept, reason in use.calls
        if op == "fp8 projection"
    ]


class _Calls(Collector):
    def __init__(self, uses: Mapping[str, KernelUse]) -> None:
        self._uses = uses

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "sensorium_projection_kernel_calls",
            "Calls of projection operators, and why that implementation ran",
            labels=["model", "op", "implementation", "reason"],
        )
        for name, use in self._uses.items():
            for labels, count in use.calls.items():
                family.add_metric([name, *labels], count)
        yield family


def kernel_registry(uses: Mapping[str, KernelUse]) -> CollectorRegistry:
    """A registry that holds these counts."""
    registry = CollectorRegistry()
    registry.register(_Calls(uses))
    return registry
