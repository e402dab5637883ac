"""gather_norm: odd sizes, nothing, one row, absent rows, far rows, wrong rows."""

from __future__ import annotations

import pytest
import torch
from triton.runtime.errors import InterpreterError

from sensorium.kernels.accuracy import TOLERANCE, relative_error
from sensorium.kernels.gather_norm import Norm, gather_norm, gather_norm_fp8, naive
from sensorium.kernels.gather_norm.triton import constants, join_kernel
from tests.kit.triton_interpreter import starting_at

NORMS: tuple[Norm, ...] = ("none", "layer", "rms")


def inputs(rows: int, width: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return (torch.randn(rows, width, generator=torch.Generator().manual_seed(1)) + 2).to(dtype)


@pytest.mark.parametrize("pool", [False, True], ids=["joined", "pooled"])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    ("tokens", "segments", "width"), [(1, 1, 1), (1, 3, 7), (5, 2, 63), (2, 9, 65), (0, 4, 8)]
)
def test_odd_sizes(tokens: int, segments: int, width: int, norm: Norm, pool: bool) -> None:
    x = inputs(11, width)
    index = torch.arange(tokens * segments, dtype=torch.int32).view(tokens, segments) % 11
    length = width * (1 if pool else segments)
    gain, shift = inputs(1, length)[0], inputs(1, length)[0] - 4
    result = gather_norm(x, index, gain, shift, norm=norm, pool=pool)
    exact = naive.gather_norm(x.double(), index, gain, shift, norm, 1e-6, pool)
    assert relative_error(result, exact) < TOLERANCE[torch.float32]


@pytest.mark.parametrize("pool", [False, True], ids=["joined", "pooled"])
def test_absent_rows_are_zeros(pool: bool) -> None:
    x = inputs(4, 24)
    index = torch.tensor([[0, -1], [-1, -1], [3, 2]], dtype=torch.int32)
    result = gather_norm(x, index, norm="rms", pool=pool)
    assert (
        relative_error(result, naive.gather_norm(x.double(), index, None, None, "rms", 1e-6, pool))
        < 2e-6
    )
    assert not result[1].any()


def test_far_from_zero_does_not_cancel() -> None:
    x = inputs(8, 96) + 300
    index = torch.arange(8, dtype=torch.int32).view(2, 4)
    exact = naive.gather_norm(x.double(), index, None, None, "layer", 1e-6, False)
    assert relative_error(gather_norm(x, index, norm="layer"), exact) < 3e-5


@pytest.mark.parametrize("pool", [False, True], ids=["joined", "pooled"])
def test_fp8(pool: bool) -> None:
    x = inputs(24, 40, torch.bfloat16)
    index = torch.arange(24, dtype=torch.int32).view(6, 4)
    values, scales = gather_norm_fp8(x, index, norm="layer", pool=pool)
    exact = naive.gather_norm(x.double(), index, None, None, "layer", 1e-6, pool)
    expected, expected_scales = naive.quantise_rows(exact.float())
    assert relative_error(scales, expected_scales) < 1e-6
    back = values.double() * scales[:, None]
    assert relative_error(back, exact) < TOLERANCE[torch.float8_e4m3fn]
    assert relative_error(back, expected.double() * expected_scales[:, None]) < 5e-3


def test_fp8_of_zeros() -> None:
    values, scales = gather_norm_fp8(torch.zeros(2, 8), torch.zeros(1, 2, dtype=torch.int32))
    assert not values.float().any()
    assert torch.isfinite(scales).all()


@pytest.mark.parametrize("row", [4, 10**6, 2**31 - 1])
@pytest.mark.parametrize("pool", [False, True], ids=["joined", "pooled"])
def test_a_row_that_is_not_there_is_an_error(row: int, pool: bool) -> None:
    x = inputs(8, 16)[:4]  # the storage goes on behind the view
    with pytest.raises(InterpreterError, match="load"):
        gather_norm(x, torch.tensor([[0, row]], dtype=torch.int32), norm="rms", pool=pool)


def test_rows_beyond_two_billion_elements() -> None:
    width = 2048
    x = torch.empty(2**31 // width + 3, width, dtype=torch.bfloat16)  # never touched: no memory
    last = len(x) - 1
    x[last] = inputs(1, width, torch.bfloat16)[0]
    index = torch.tensor([[last]], dtype=torch.int32)
    exact = naive.gather_norm(x[last:].double(), index * 0, None, None, "rms", 1e-6, False)
    assert relative_error(gather_norm(x, index, norm="rms"), exact) < TOLERANCE[torch.bfloat16]
    assert torch.equal(gather_norm(x, index)[0], x[last])
    pooled = gather_norm(x, index, norm="rms", pool=True)
    assert relative_error(pooled, exact) < TOLERANCE[torch.bfloat16]


def test_tokens_beyond_two_billion_elements() -> None:
    width = 2048
    last = 2**31 // width + 2
    out = torch.empty(last + 1, width, dtype=torch.bfloat16)
    x = inputs(1, width, torch.bfloat16)
    index = torch.zeros(last + 1, 1, dtype=torch.int32)
    fixed = constants(1, width, "none", 1e-6, False, False)
    with starting_at(last):
        join_kernel[(1,)](x, index, x, x, out, x, has_weight=False, has_bias=False, **fixed)
    assert torch.equal(out[last], x[0])


@pytest.mark.parametrize("pool", [False, True], ids=["joined", "pooled"])
@pytest.mark.parametrize(("tokens", "segments", "width"), [(0, 2, 8), (1, 1, 1), (3, 3, 65)])
def test_fp8_of_odd_sizes(tokens: int, segments: int, width: int, pool: bool) -> None:
    x = inputs(5, width)
    index = torch.arange(tokens * segments, dtype=torch.int32).view(tokens, segments) % 5
    values, scales = gather_norm_fp8(x, index, pool=pool)
    exact = naive.gather_norm(x.double(), index, None, None, "none", 1e-6, pool)
    back = values.double() * scales.double()[:, None]
    assert relative_error(back, exact) < TOLERANCE[torch.float8_e4m3fn]


def test_tokens_in_e4m3_beyond_two_billion_elements() -> None:
    width = 2048
    last = 2**31 // width + 2
    out = torch.empty(last + 1, width, dtype=torch.float8_e4m3fn)
    scale = torch.empty(last + 1)
    x = inputs(1, width)
    index = torch.zeros(last + 1, 1, dtype=torch.int32)
    fixed = constants(1, width, "none", 1e-6, False, True)
    with starting_at(last):
        join_kernel[(1,)](x, index, x, x, out, scale, has_weight=False, has_bias=False, **fixed)
    back = out[last].double() * scale[last].double()
    assert relative_error(back, x[0].double()) < TOLERANCE[torch.float8_e4m3fn]
