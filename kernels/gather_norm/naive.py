"""The definition of gather_norm in plain torch."""

from __future__ import annotations

import torch
from torch.nn import functional

__all__ = ["E4M3_MAX", "SMALLEST_SCALE", "gather_norm", "quantise_rows"]

E4M3_MAX = 448.0
SMALLEST_SCALE = 1e-12 / E4M3_MAX


def gather_norm(
    x: torch.Tensor,
    index: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    norm: str,
    eps: float,
    pool: bool,
) -> torch.Tensor:
    """`[tokens, segments * width]` (`[tokens, width]` pooled), computed in float32 or float64.

    Rounded to the dtype of `x` once or not at all. Row `index[t, s]` of `x` `[rows, width]` is
    segment `s` of token `t`; -1 is a row of zeros.
    """
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    tokens, segments = index.shape
    picked = x[index.clamp_min(0).flatten().long()].view(tokens, segments, x.shape[1])
    picked = picked.masked_fill((index < 0)[..., None], 0)
    if norm == "layer" and not pool and weight is not None and weight.dtype == x.dtype:
        # The same arithmetic in one launch, for devices on which this is what serves.
        return functional.layer_norm(picked.flatten(1), weight.shape, weight, bias, eps)
    rows = picked.to(wide).mean(1) if pool else picked.to(wide).flatten(1)
    if norm == "layer":
        rows = rows - rows.mean(1, keepdim=True)
    if norm != "none":
        rows = rows * torch.rsqrt(rows.square().mean(1, keepdim=True) + eps)
    if weight is not None:
        rows = rows * weight.to(wide)
    if bias is not None:
        rows = rows + bias.to(wide)
    return rows


def quantise_rows(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """e4m3 values and one float32 scale a row, so that `values * scale` is about `rows`."""
    scale = rows.abs().amax(1).div(E4M3_MAX).clamp_min(SMALLEST_SCALE).float()
    scaled = (rows / scale[:, None]).clamp(-E4M3_MAX, E4M3_MAX)
    return scaled.to(torch.float8_e4m3fn), scale
