"""What `/version` and `/metrics` say of projection kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from sensorium.serving.http.kernel_metrics import projection_lines
from sensorium.serving.models import KernelUse
from sensorium.serving.testing.fake_model import FakeModel

CALLS = {
    ("gather_norm", "triton", "measured: faster than torch"): 7,
    ("pack_rows", "reference", "not measured on this device"): 2,
}


async def test_version_says_which_run(serve: Callable[..., Any]) -> None:
    model = FakeModel()
    model.kernel_use = KernelUse("auto", CALLS)
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
    model.kernel_use = KernelUse("auto", CALLS)
    async with serve(eyes=model) as client:
        text = (await client.get("/metrics")).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    family = families["sensorium_projection_kernel_calls"]
    assert family.type == "counter"
    names = ("op", "implementation", "reason")
    counted = {tuple(s.labels[n] for n in names): s.value for s in family.samples}
    assert counted == CALLS
    assert {sample.labels["model"] for sample in family.samples} == {"eyes"}


def test_the_decision_on_e4m3_is_a_sentence() -> None:
    calls = {("gather_norm", "triton", "asked for"): 3, ("fp8 projection", "e4m3", "errs by 4%"): 1}
    lines = projection_lines("eyes", KernelUse("auto", calls))
    assert lines == ["eyes projects media in e4m3: errs by 4%"]
    refused = KernelUse("auto", {("fp8 projection", "model's dtype", "errs by 40%"): 1})
    assert projection_lines("eyes", refused) == [
        "eyes projects media in its own dtype: errs by 40%"
    ]
    assert not projection_lines("eyes", KernelUse())
