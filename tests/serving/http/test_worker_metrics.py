"""What `/version` and `/metrics` say of what workers report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from sensorium.serving.http.worker_metrics import projection_lines
from sensorium.serving.media.times import STAGE_BUCKETS
from sensorium.serving.models import Encoding, WorkerReport
from sensorium.serving.testing.fake_model import FakeModel

CALLS = {
    ("gather_norm", "triton", "measured: faster than torch"): 7,
    ("pack_rows", "reference", "not measured on this device"): 2,
}


async def test_version_says_which_run(serve: Callable[..., Any]) -> None:
    model = FakeModel()
    model.worker_report = WorkerReport("auto", CALLS)
    async with serve(eyes=model, ears=FakeModel(), loading=None) as client:
        answer = (await client.get("/version")).json()["projection_kernels"]
    assert answer["mode"] == "auto"
    assert answer["models"]["ears"] == {}
    assert answer["models"]["eyes"] == {
        "gather_norm": {"implementation": "triton", "reason": "measured: faster than torch"},
        "pack_rows": {"implementation": "reference", "reason": "not measured on this device"},
    }


async def test_calls_are_a_counter(serve: Callable[..., Any]) -> None:
    model = FakeModel()
    model.worker_report = WorkerReport("auto", CALLS)
    async with serve(eyes=model) as client:
        text = (await client.get("/metrics")).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    family = families["sensorium_projection_kernel_calls"]
    assert family.type == "counter"
    names = ("op", "implementation", "reason")
    counted = {tuple(s.labels[n] for n in names): s.value for s in family.samples}
    assert counted == CALLS
    assert {sample.labels["model"] for sample in family.samples} == {"eyes"}


async def test_times_of_encoders_are_a_histogram(serve: Callable[..., Any]) -> None:
    model = FakeModel()
    counts = [0, 3, 0, 2] + [0] * (len(STAGE_BUCKETS) - 4) + [1]
    assert len(counts) == len(STAGE_BUCKETS) + 1
    model.worker_report = WorkerReport(encoding={"image": Encoding(counts, 31.5)})
    async with serve(eyes=model) as client:
        text = (await client.get("/metrics")).text
    name = "sensorium_mm_media_encode_latency_seconds"
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families[name].type == "histogram"
    samples = {(s.name[len(name) :], s.labels.get("le")): s for s in families[name].samples}
    assert all(
        s.labels["model"] == "eyes" and s.labels["media_type"] == "image" for s in samples.values()
    )
    values = {key: s.value for key, s in samples.items()}
    assert [values["_bucket", le] for le in ("0.0005", "0.001", "0.005", "20.0", "+Inf")] == [
        0,
        3,
        5,
        5,
        6,
    ]
    assert values["_count", None] == 6
    assert values["_sum", None] == 31.5


def test_the_decision_on_e4m3_is_a_sentence() -> None:
    calls = {("gather_norm", "triton", "asked for"): 3, ("fp8 projection", "e4m3", "errs by 4%"): 1}
    lines = projection_lines("eyes", WorkerReport("auto", calls))
    assert lines == ["eyes projects media in e4m3: errs by 4%"]
    refused = WorkerReport("auto", {("fp8 projection", "model's dtype", "errs by 40%"): 1})
    assert projection_lines("eyes", refused) == [
        "eyes projects media in its own dtype: errs by 40%"
    ]
    assert not projection_lines("eyes", WorkerReport())
