"""pack_rows, embed_merge and ldpv2_tail: odd sizes, nothing, one row, far and wrong addresses."""

from __future__ import annotations

import pytest
import torch
from triton.runtime.errors import InterpreterError

from sensorium.kernels.accuracy import TOLERANCE, relative_error
from sensorium.kernels.embed_merge import embed_merge, plan_merge
from sensorium.kernels.embed_merge.triton import merge_kernel
from sensorium.kernels.ldpv2_tail import ldpv2_tail, naive
from sensorium.kernels.ldpv2_tail.triton import tail_kernel
from sensorium.kernels.pack_project import pack_rows
from sensorium.kernels.pack_project.triton import pack_kernel
from tests.kit.triton_interpreter import reachable, starting_at


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(("rows", "width"), [(1, 1), (3, 63), (17, 65), (5, 1030)])
@pytest.mark.parametrize("tokens", [0, 1, 9])
def test_pack_rows(rows: int, width: int, tokens: int) -> None:
    x = normal(rows, width).bfloat16()
    source = torch.arange(tokens, dtype=torch.int32) % (rows + 1) - 1
    expected = torch.cat([torch.zeros(1, width, dtype=x.dtype), x])[source.long() + 1]
    assert torch.equal(pack_rows(x, source), expected)


def test_packing_a_row_that_is_not_there_is_an_error() -> None:
    with pytest.raises(InterpreterError, match="load"):
        pack_rows(normal(8, 16)[:4], torch.tensor([4], dtype=torch.int32))


def test_packing_beyond_two_billion_elements() -> None:
    width = 2048
    last = 2**31 // width + 2
    x = torch.empty(last + 1, width, dtype=torch.bfloat16)
    x[last] = normal(width).bfloat16()
    source = torch.full((last + 1,), last, dtype=torch.int32)
    out = torch.empty_like(x)
    sizes = {"width": width, "block_rows": 1, "block_columns": width}
    with starting_at(last):
        pack_kernel[(1, 1)](x, source, out, len(source), **sizes)
    assert torch.equal(out[last], x[last])


@pytest.mark.parametrize("form", [torch.int32, torch.int64], ids=str)
@pytest.mark.parametrize("hidden", [1, 63, 1030])
def test_merging(hidden: int, form: torch.dtype) -> None:
    table = normal(9, hidden)
    media = [normal(3, hidden), normal(4, hidden)[1:2], normal(0, hidden)]
    ids = torch.tensor([1, 99, -5, 2**31 - 1, 8, 0, 3], dtype=form)
    is_media = torch.tensor([False, True, False, False, True, True, True])
    buffer = torch.full((9, hidden), 7.0)
    with reachable(media):
        embed_merge(ids, table, media, plan_merge(is_media, [3, 1, 0]), buffer[:7])
    text = torch.stack([table[1], table[0], table[0]])
    expected = torch.stack([text[0], media[0][0], text[1], text[2], *media[0][1:], media[1][0]])
    assert torch.equal(buffer[:7], expected)
    assert (buffer[7:] == 7).all()


def test_merging_nothing() -> None:
    none = torch.empty(0, dtype=torch.int32)
    plan = plan_merge(torch.zeros(0, dtype=torch.bool), [])
    assert embed_merge(none, normal(3, 8), [], plan, torch.empty(0, 8)).shape == (0, 8)


def test_media_that_the_call_does_not_hold_is_an_error() -> None:
    ids, is_media = torch.zeros(2, dtype=torch.int32), torch.ones(2, dtype=torch.bool)
    plan = plan_merge(is_media, [2])
    with pytest.raises(InterpreterError, match="load"):
        embed_merge(ids, normal(3, 8), [normal(4, 8)[:2]], plan, torch.empty(2, 8))


def test_merging_beyond_two_billion_elements() -> None:
    hidden = 2048
    last = 2**31 // hidden + 2
    table = torch.empty(last + 1, hidden, dtype=torch.bfloat16)
    table[last] = normal(hidden).bfloat16()
    out = torch.empty_like(table)
    ids = torch.full((last + 1,), last, dtype=torch.int32)
    plan = torch.full((2, last + 1), -1, dtype=torch.int32)
    none = torch.zeros(1, dtype=torch.int64)
    sizes = {"vocabulary": len(table), "width": hidden, "block_columns": hidden, "aligned": True}
    sizes["scale"] = 1.0
    with starting_at(last):
        merge_kernel[(1, 1)](ids, plan, none, table, out, len(ids), **sizes)
    assert torch.equal(out[last], table[last])


@pytest.mark.parametrize(("images", "grid", "width"), [(1, 2, 1), (2, 6, 65), (0, 4, 8)])
def test_ldpv2_tail(images: int, grid: int, width: int) -> None:
    x, weight, bias = normal(images * grid * grid, width), normal(width, 1, 3, 3), normal(width)
    exact = naive.ldpv2_tail(x.double(), weight.double(), bias.double(), grid)
    assert relative_error(ldpv2_tail(x, weight, bias, grid), exact) < TOLERANCE[torch.float32]


def test_ldpv2_tail_beyond_two_billion_elements() -> None:
    grid, width = 8, 2048
    images = 2**31 // (grid * grid * width) + 2
    x = torch.empty(images * grid * grid, width, dtype=torch.bfloat16)
    x[-grid * grid :] = normal(grid * grid, width).bfloat16()
    weight, bias = normal(width, 1, 3, 3).bfloat16(), normal(width).bfloat16()
    out = torch.empty(len(x) // 4, width, dtype=torch.bfloat16)
    half = grid // 2
    sizes = {"edge": grid, "width": width, "padded_half": half, "block_columns": width}
    with starting_at((images - 1) * half):
        tail_kernel[(half, 1)](x, weight, bias, out, **sizes)
    exact = naive.ldpv2_tail(x[-grid * grid :].double(), weight.double(), bias.double(), grid)
    assert relative_error(out[-half * half :], exact) < TOLERANCE[torch.bfloat16]


def test_an_image_that_is_not_there_is_an_error() -> None:
    x, weight, bias = normal(32, 4)[:16], normal(4, 1, 3, 3), normal(4)
    sizes = {"edge": 4, "width": 4, "padded_half": 2, "block_columns": 4}
    with pytest.raises(InterpreterError, match="load"):
        tail_kernel[(4, 1)](x, weight, bias, torch.empty(8, 4), **sizes)
