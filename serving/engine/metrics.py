"""vLLM's Prometheus metrics, kept apart per engine.

vLLM 0.32 (`vllm/v1/metrics/loggers.py`, `PrometheusStatLogger`) unregisters every earlier engine's
metrics from prometheus_client's global registry when a new engine makes its own. Here each engine's
collectors are moved to a registry of their own as soon as they exist.
"""

from __future__ import annotations

import threading
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry

__all__ = ["isolated_stat_logger"]

_LOCK = threading.Lock()


def isolated_stat_logger(registry: CollectorRegistry) -> type[Any]:
    """A stat-logger class for `AsyncLLM(stat_loggers=[...])` whose metrics live in `registry`."""
    from vllm.v1.metrics.loggers import PrometheusStatLogger

    class IsolatedStatLogger(PrometheusStatLogger):
        """vLLM's own logger; only the place of its metrics differs."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            with _LOCK:  # engines start side by side, the global registry is one
                before = set(_collectors())
                super().__init__(*args, **kwargs)
                for collector in set(_collectors()) - before:
                    REGISTRY.unregister(collector)
                    registry.register(collector)

    return IsolatedStatLogger


def _collectors() -> list[Any]:
    return list(REGISTRY._collector_to_names)
