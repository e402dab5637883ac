"""gather_norm on a GPU: one program a token, which holds its row in registers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import triton
import triton.language as tl

from sensorium.kernels.compile_options import COMPILE_OPTIONS

__all__ = ["join_kernel", "launch", "pool_kernel"]

NORMS = {"none": 0, "layer": 1, "rms": 2}
_SMALLEST_SCALE = tl.constexpr(1e-12 / 448.0)
_E4M3_MAX = tl.constexpr(448.0)


@triton.jit
def _normalise(values, mask, length: tl.constexpr, norm: tl.constexpr, eps: tl.constexpr):
    """Over all values where `mask` holds; the others are and stay zero."""
    if norm == 1:
        values = tl.where(mask, values - tl.sum(values) / length, 0.0)
    if norm != 0:
        values = values * tl.rsqrt(tl.sum(values * values) / length + eps)
    return values


@triton.jit
def _store(values, out, at, mask, scale, token, quantise: tl.constexpr):
    if quantise:
        row_scale = tl.maximum(tl.max(tl.abs(values)) / _E4M3_MAX, _SMALLEST_SCALE)
        tl.store(scale + token, row_scale)
        values = tl.minimum(tl.maximum(values / row_scale, -_E4M3_MAX), _E4M3_MAX)
    tl.store(out + at, values.to(out.dtype.element_ty), mask=mask)


@triton.jit
def join_kernel(
    x,
    index,
    weight,
    bias,
    out,
    scale,
    segments: tl.constexpr,
    width: tl.constexpr,
    padded_segments: tl.constexpr,
    padded_width: tl.constexpr,
    norm: tl.constexpr,
    eps: tl.constexpr,
    has_weight: tl.constexpr,
    has_bias: tl.constexpr,
    quantise: tl.constexpr,
):
    """The token's segments side by side; the norm is over all of them."""
    token = tl.program_id(0).to(tl.int64)
    segment = tl.arange(0, padded_segments)
    column = tl.arange(0, padded_width)
    inside = (segment[:, None] < segments) & (column[None, :] < width)
    row = tl.load(index + token * segments + segment, mask=segment < segments, other=-1)
    row = row.to(tl.int64)
    present = inside & (row[:, None] >= 0)
    values = tl.load(x + row[:, None] * width + column[None, :], mask=present, other=0.0)
    values = _normalise(values.to(tl.float32), inside, segments * width, norm, eps)
    at = segment[:, None] * width + column[None, :]
    if has_weight:
        values *= tl.load(weight + at, mask=inside, other=0.0).to(tl.float32)
    if has_bias:
        values += tl.load(bias + at, mask=inside, other=0.0).to(tl.float32)
    _store(values, out, token * (segments * width) + at, inside, scale, token, quantise)


@triton.jit
def pool_kernel(
    x,
    index,
    weight,
    bias,
    out,
    scale,
    segments: tl.constexpr,
    width: tl.constexpr,
    padded_width: tl.constexpr,
    norm: tl.constexpr,
    eps: tl.constexpr,
    has_weight: tl.constexpr,
    has_bias: tl.constexpr,
    quantise: tl.constexpr,
):
    """The average of the token's segments; the norm is over that."""
    token = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, padded_width)
    inside = column < width
    total = tl.zeros((padded_width,), dtype=tl.float32)
    for segment in tl.static_range(segments):
        row = tl.load(index + token * segments + segment).to(tl.int64)
        # A block, because the interpreter of Triton 3.9 refuses masks made of scalars.
        present = inside & (column * 0 + row >= 0)
        total += tl.load(x + row * width + column, mask=present, other=0.0).to(tl.float32)
    values = _normalise(total / segments, inside, width, norm, eps)
    if has_weight:
        values *= tl.load(weight + column, mask=inside, other=0.0).to(tl.float32)
    if has_bias:
        values += tl.load(bias + column, mask=inside, other=0.0).to(tl.float32)
    _store(values, out, token * width + column, inside, scale, token, quantise)


def constants(
    segments: int, width: int, norm: str, eps: float, pool: bool, quantise: bool
) -> dict[str, int | float | bool]:
    """The compile-time arguments of the kernel, without those that say what affine there is."""
    sizes: dict[str, int | float | bool] = {
        "segments": segments,
        "width": width,
        "padded_width": triton.next_power_of_2(width),
        "norm": NORMS[norm],
        "eps": eps,
        "quantise": quantise,
    }
    return sizes if pool else {**sizes, "padded_segments": triton.next_power_of_2(segments)}


def launch(
    x: torch.Tensor,
    index: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    norm: str,
    eps: float,
    pool: bool,
    out: torch.Tensor,
    scale: torch.Tensor | None,
    config: Mapping[str, int],
) -> None:
    """Fill `out` (and `scale`); arguments as of the definition, `x`, `index` and `out` dense."""
    tokens, segments = index.shape
    if tokens == 0:
        return
    kernel = pool_kernel if pool else join_kernel
    fixed = constants(segments, x.shape[1], norm, eps, pool, scale is not None)
    kernel[(tokens,)](
        x,
        index,
        x if weight is None else weight,
        x if bias is None else bias,
        out,
        x if scale is None else scale,
        has_weight=weight is not None,
        has_bias=bias is not None,
        **fixed,
        **config,
        **COMPILE_OPTIONS,
    )
