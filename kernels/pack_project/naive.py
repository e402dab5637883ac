"""The definition of pack_rows in plain torch."""

from __future__ import annotations

import torch

__all__ = ["pack_rows"]


def pack_rows(x: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """`[tokens, width]`: row `source[t]` of `x` `[rows, width]`, or zeros for -1."""
    picked = x[source.clamp_min(0).long()]
    return picked.masked_fill((source < 0)[:, None], 0)
