"""The repair and the bounds check themselves: each test fails without them."""

from __future__ import annotations

import pytest
import torch
import triton
import triton.language as tl
from triton.runtime.errors import InterpreterError


@triton.jit
def shifted_copy(x, out, shift, count, block: tl.constexpr):
    """`count` values from `shift` on."""
    place = tl.arange(0, block)
    values = tl.load(x + shift + place, mask=place < count, other=0.0)
    tl.store(out + place, values, mask=place < count)


@triton.jit
def cast_add_dot(x, y, rounded, total, product, edge: tl.constexpr):
    """float32 to bfloat16, a sum of bfloat16, and their matrix product."""
    row, column = tl.arange(0, edge)[:, None], tl.arange(0, edge)[None, :]
    at = row * edge + column
    a, b = tl.load(x + at).to(tl.bfloat16), tl.load(y + at).to(tl.bfloat16)
    tl.store(rounded + at, a)
    tl.store(total + at, a + b)
    tl.store(product + at, tl.dot(a, b))


def test_bfloat16_is_a_number() -> None:
    x, y = torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(0))
    rounded, total = torch.empty(2, 16, 16, dtype=torch.bfloat16)
    product = torch.empty(16, 16)
    cast_add_dot[(1,)](x, y, rounded, total, product, edge=16)
    a, b = x.bfloat16(), y.bfloat16()
    assert torch.equal(rounded, a)
    assert torch.equal(total, a + b)
    torch.testing.assert_close(product, a.float() @ b.float())


def test_a_read_past_a_view_is_an_error_though_its_storage_goes_on() -> None:
    long, out = torch.zeros(64), torch.zeros(16)
    with pytest.raises(InterpreterError, match="load: 1 of 16"):
        shifted_copy[(1,)](long[:16], out, 1, 16, block=16)
    shifted_copy[(1,)](long[:16], out, 1, 15, block=16)


def test_a_write_past_the_end_is_an_error() -> None:
    with pytest.raises(InterpreterError, match="store: 8 of 16"):
        shifted_copy[(1,)](torch.zeros(16), torch.zeros(8), 0, 16, block=16)
