"""Triton kernels on a GPU, at the models' own sizes."""

from __future__ import annotations

import pytest
import torch

from sensorium.kernels import runtime
from sensorium.kernels.accuracy import TOLERANCE, relative_error
from sensorium.kernels.all_cases import ALL_CASES
from sensorium.kernels.cases import Case, Maker

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
cases = pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: case.name)


@cases
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("size", ["tiny", "real"])
def test_equals_the_family_and_the_reference(case: Case, dtype: torch.dtype, size: str) -> None:
    sizes = case.tiny if size == "tiny" else case.real
    exact = case.build(sizes, Maker(dtype, "cuda", exact=True))
    expected = exact.eager(exact.x).clone()
    work = case.build(sizes, Maker(dtype, "cuda"))
    for mode in ("reference", "triton"):
        with runtime.forced(mode):
            assert relative_error(work.ours(work.x), expected) < TOLERANCE[dtype], mode


@cases
def test_captured_in_a_graph(case: Case) -> None:
    work = case.build(case.tiny, Maker(torch.bfloat16, "cuda"))
    if not work.captured:
        pytest.skip("copies addresses from the host at each call, outside of graphs")
    with runtime.forced("triton"):
        expected = work.ours(work.x).clone()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = work.ours(work.x)
    result.zero_()
    graph.replay()
    assert torch.equal(result, expected)


@cases
@pytest.mark.filterwarnings("default")
def test_compiled_without_breaks(case: Case) -> None:
    work = case.build(case.tiny, Maker(torch.bfloat16, "cuda"))
    with runtime.forced("triton"):
        expected = work.ours(work.x).clone()
        compiled = torch.compile(work.ours, fullgraph=True)
        assert torch.equal(compiled(work.x), expected)
