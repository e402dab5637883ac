"""ldpv2_tail on a GPU: a program makes one row of tokens of one image, for a block of channels."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import triton
import triton.language as tl

from sensorium.kernels.compile_options import COMPILE_OPTIONS

__all__ = ["launch", "tail_kernel"]


@triton.jit
def tail_kernel(
    x,
    weight,
    bias,
    out,
    edge: tl.constexpr,
    width: tl.constexpr,
    padded_half: tl.constexpr,
    block_columns: tl.constexpr,
):
    """Pools on the way: each of nine averages reads its four rows, which stay in the cache."""
    half: tl.constexpr = edge // 2
    image = (tl.program_id(0) // half).to(tl.int64)
    line = tl.program_id(0) % half
    across = tl.arange(0, padded_half)
    column = tl.program_id(1) * block_columns + tl.arange(0, block_columns)
    inside = column < width
    first = x + image * (edge * edge * width)
    total = tl.zeros((padded_half, block_columns), dtype=tl.float32)
    centre = tl.zeros((padded_half, block_columns), dtype=tl.float32)
    for down in tl.static_range(3):
        for right in tl.static_range(3):
            # Blocks, because the interpreter of Triton 3.9 refuses masks made of scalars.
            pooled_line = across * 0 + line + down - 1
            pooled_column = across + right - 1
            exists = (pooled_line >= 0) & (pooled_line < half) & (across < half)
            exists &= (pooled_column >= 0) & (pooled_column < half)
            mask = exists[:, None] & inside[None, :]
            average = tl.zeros((padded_half, block_columns), dtype=tl.float32)
            for part in tl.static_range(4):
                row = (2 * pooled_line + part // 2) * edge + 2 * pooled_column + part % 2
                at = first + row[:, None] * width + column[None, :]
                average += tl.load(at, mask=mask, other=0.0).to(tl.float32)
            average *= 0.25
            if down == 1 and right == 1:
                centre = average
            tap = tl.load(weight + column * 9 + down * 3 + right, mask=inside, other=0.0)
            total += average * tap.to(tl.float32)[None, :]
    total += centre + tl.load(bias + column, mask=inside, other=0.0).to(tl.float32)[None, :]
    token = (image * half + line) * half + across
    at = out + token[:, None] * width + column[None, :]
    store = (across < half)[:, None] & inside[None, :]
    tl.store(at, total.to(out.dtype.element_ty), mask=store)


def launch(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    grid: int,
    out: torch.Tensor,
    config: Mapping[str, int],
) -> None:
    """Fill `out`; arguments as of the definition, all dense."""
    half, width = grid // 2, x.shape[1]
    if out.shape[0] == 0:
        return
    columns = config["block_columns"]
    lines = out.shape[0] // half
    tail_kernel[(lines, triton.cdiv(width, columns))](
        x,
        weight,
        bias,
        out,
        edge=grid,
        width=width,
        padded_half=triton.next_power_of_2(half),
        block_columns=columns,
        num_warps=config["num_warps"],
        **COMPILE_OPTIONS,
    )
