"""Several registries as one exposition."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from sensorium.serving.http.metrics import HttpMetrics, exposition


def engine(name: str, value: int) -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("vllm:requests", "Requests", ["model_name"], registry=registry).labels(name).inc(value)
    return registry


async def test_families_of_two_engines_are_merged() -> None:
    text = (await exposition([HttpMetrics().registry, engine("a", 1), engine("b", 2)])).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    values = {
        sample.labels["model_name"]: sample.value
        for sample in families["vllm:requests"].samples
        if sample.name.endswith("_total")
    }
    assert values == {"a": 1.0, "b": 2.0}
    assert text.count("# TYPE vllm:requests_total counter") == 1


async def test_scraping_twice_does_not_double() -> None:
    registries = [engine("a", 1), engine("b", 2)]
    assert await exposition(registries) == await exposition(registries)


async def test_names_are_pinned() -> None:
    text = (await exposition([HttpMetrics().registry])).decode()
    ours = {f.name for f in text_string_to_metric_families(text) if f.name.startswith("sensorium")}
    assert ours == {
        "sensorium_event_loop_cpu_seconds",
        "sensorium_event_loop_cpu_seconds_created",
        "sensorium_event_loop_lag_seconds",
        "sensorium_event_loop_lag_seconds_created",
        "sensorium_requests",
        "sensorium_request_seconds",
        "sensorium_requests_in_flight",
        "sensorium_ready",
        "sensorium_model_load_seconds",
    }
