"""A candidate, not part of the server: gather, first projection and GELU in one kernel.

It would save one pass over `[tokens, hidden]`. It stays only where it is more than 3 % faster than
both `addmm` with GELU and `torch.compile(mode="max-autotune")` on the device (`report.py` says so
in each run). GELU is a fit, `x * sigmoid(quintic)`, within 2.5e-5 of the exact function: the exact
one costs 34 instructions an element on sm_90, this one 12, and with the exact one large tiles
spill.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import triton
import triton.language as tl

from sensorium.kernels.compile_options import COMPILE_OPTIONS

__all__ = ["CONFIGS", "gather_linear_gelu", "gemm_kernel"]

# Measured by the compiler: no spills on sm_80 and sm_90; the second leaves room for two blocks an
# SM on sm_90, so that one's epilogue hides under the other's main loop.
CONFIGS: tuple[Mapping[str, int], ...] = (
    {"block_m": 64, "block_n": 128, "block_k": 64, "num_warps": 4, "num_stages": 4},
    {"block_m": 128, "block_n": 128, "block_k": 64, "num_warps": 8, "num_stages": 3},
    {"block_m": 128, "block_n": 256, "block_k": 64, "num_warps": 8, "num_stages": 3},
)


@triton.jit
def gelu_fit(x):
    """erf-GELU within 2.5e-5."""
    # Beyond |x| = 8 the sigmoid is saturated; the bound keeps the quintic monotone.
    square = tl.minimum(x * x, 64.0)
    quintic = (0.0010142645 * square - 0.10677573) * square - 2.3011213
    e = 1.0 + tl.exp2(x * quintic)
    # 1/e as one instruction; e * e overflows to infinity where the limit is zero.
    return x * tl.rsqrt(e * e)


@triton.jit(do_not_specialize=["rows"])
def gemm_kernel(
    x,
    source,
    weight,
    bias,
    out,
    rows,
    columns: tl.constexpr,
    width: tl.constexpr,
    block_m: tl.constexpr,
    block_n: tl.constexpr,
    block_k: tl.constexpr,
    group: tl.constexpr,
):
    """One tile of gelu(x[source] @ weight.T + bias); `block_k` divides the width."""
    tiles_m, tiles_n = tl.cdiv(rows, block_m), tl.cdiv(columns, block_n)
    first = tl.program_id(0) // (group * tiles_n) * group
    members = tl.minimum(tiles_m - first, group)
    inside = tl.program_id(0) % (group * tiles_n)
    row = (first + inside % members) * block_m + tl.arange(0, block_m)
    column = inside // members * block_n + tl.arange(0, block_n)
    # Clamped, not masked: masks in the loop would keep the loads from being pipelined.
    picked = tl.load(source + tl.where(row < rows, row, 0)).to(tl.int64)
    kept = tl.where(column < columns, column, 0)
    step = tl.arange(0, block_k)
    a_at = x + picked[:, None] * width + step[None, :]
    b_at = weight + kept.to(tl.int64)[None, :] * width + step[:, None]
    total = tl.zeros((block_m, block_n), dtype=tl.float32)
    for k in range(0, width, block_k):
        total = tl.dot(tl.load(a_at + k), tl.load(b_at + k), total)
    total = gelu_fit(total + tl.load(bias + kept).to(tl.float32)[None, :])
    mask = (row < rows)[:, None] & (column < columns)[None, :]
    at = row.to(tl.int64)[:, None] * columns + column[None, :]
    tl.store(out + at, total.to(out.dtype.element_ty), mask=mask)


def gather_linear_gelu(
    x: torch.Tensor,
    source: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    config: Mapping[str, int],
) -> torch.Tensor:
    """`[tokens, columns]` from rows `source` `[tokens]` of `x` `[rows, width]`."""
    columns, width = weight.shape
    if width % config["block_k"]:
        raise ValueError(f"blocks of {config['block_k']} do not divide the width {width}")
    out = x.new_empty(len(source), columns)
    tiles = triton.cdiv(len(source), config["block_m"]) * triton.cdiv(columns, config["block_n"])
    if tiles:
        gemm_kernel[(tiles,)](
            x,
            source,
            weight,
            bias,
            out,
            len(source),
            columns=columns,
            width=width,
            group=8,
            **config,
            **COMPILE_OPTIONS,
        )
    return out
