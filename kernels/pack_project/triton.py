"""pack_rows on a GPU: a copy of gathered rows, several rows a program."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import triton
import triton.language as tl

from sensorium.kernels.compile_options import COMPILE_OPTIONS

__all__ = ["launch", "pack_kernel"]


@triton.jit(do_not_specialize=["tokens"])
def pack_kernel(
    x,
    source,
    out,
    tokens,
    width: tl.constexpr,
    block_rows: tl.constexpr,
    block_columns: tl.constexpr,
):
    """A block of rows and columns of the result."""
    token = tl.program_id(0) * block_rows + tl.arange(0, block_rows)
    column = tl.program_id(1) * block_columns + tl.arange(0, block_columns)
    inside = (token < tokens)[:, None] & (column < width)[None, :]
    row = tl.load(source + token, mask=token < tokens, other=-1).to(tl.int64)
    present = inside & (row >= 0)[:, None]
    values = tl.load(x + row[:, None] * width + column[None, :], mask=present, other=0.0)
    tl.store(out + token.to(tl.int64)[:, None] * width + column[None, :], values, mask=inside)


def launch(
    x: torch.Tensor, source: torch.Tensor, out: torch.Tensor, config: Mapping[str, int]
) -> None:
    """Fill `out` `[tokens, width]`; all three dense."""
    tokens, width = out.shape
    if tokens == 0:
        return
    columns = min(config["block_columns"], triton.next_power_of_2(width))
    rows = config["block_rows"]
    pack_kernel[(triton.cdiv(tokens, rows), triton.cdiv(width, columns))](
        x,
        source,
        out,
        tokens,
        width=width,
        block_rows=rows,
        block_columns=columns,
        num_warps=config["num_warps"],
        **COMPILE_OPTIONS,
    )
