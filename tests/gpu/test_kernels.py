"""Triton kernels on a GPU, at the models' own sizes."""

from __future__ import annotations

import pytest
import torch

from sensorium.kernels import runtime
from sensorium.kernels.accuracy import relative_error
from sensorium.kernels.all_cases import ALL_CASES
from sensorium.kernels.cases import Case, Maker
from sensorium.kernels.fp8 import Fp8Linear, largest_error

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
            assert relative_error(work.ours(work.x), expected) < case.allowed(dtype), mode


@cases
def test_captured_in_a_graph(case: Case) -> None:
    work = case.build(case.tiny, Maker(torch.bfloat16, "cuda"))
    if not work.captured:
        pytest.skip("copies addresses from the host at each call, outside of graphs")
    with runtime.forced("triton"):
        expected = bits(work.ours(work.x)).clone()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = bits(work.ours(work.x))
    result.zero_()
    graph.replay()
    assert torch.equal(result, expected)


@cases
@pytest.mark.filterwarnings("default")
def test_compiled_without_breaks(case: Case) -> None:
    work = case.build(case.tiny, Maker(torch.bfloat16, "cuda"))
    with runtime.forced("triton"):
        expected = bits(work.ours(work.x)).clone()
        compiled = torch.compile(work.ours, fullgraph=True)
        assert torch.equal(bits(compiled(work.x)), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "without"])
def test_layers_in_e4m3(dtype: torch.dtype, bias: bool) -> None:
    if torch.cuda.get_device_capability() < (8, 9):
        pytest.skip("e4m3 needs compute capability 8.9")
    make = Maker(dtype, "cuda")
    x, weight = make.normal(577, 1024), make.normal(4096, 1024, scale=1 / 32)
    added = make.normal(4096) if bias else None
    exact = torch.nn.functional.linear(
        x.double(), weight.double(), None if added is None else added.double()
    )
    layer = Fp8Linear(weight, added)
    for mode in ("auto", "triton", "reference"):
        with runtime.forced(mode):
            assert relative_error(layer(x), exact) < largest_error(1), mode
            assert layer(x[:0]).shape == (0, 4096)


def bits(result: torch.Tensor) -> torch.Tensor:
    """e4m3 numbers as bytes, which can be compared."""
    return result.view(torch.uint8) if result.dtype == torch.float8_e4m3fn else result
