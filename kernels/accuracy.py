"""One measure of error: relative RMS against float64, with one tolerance a dtype.

The projection of features, too, stays below these in the dtypes that serve.
"""

from __future__ import annotations

import torch

__all__ = ["TOLERANCE", "relative_error"]

TOLERANCE = {
    torch.float32: 2e-6,
    torch.float16: 1.2e-3,
    torch.bfloat16: 8e-3,
    torch.float8_e4m3fn: 5e-2,
}


def relative_error(result: torch.Tensor, exact: torch.Tensor) -> float:
    """||result - exact|| / ||exact||; infinite for NaN or another shape."""
    found, wide = result.double(), exact.double()
    if result.shape != exact.shape or not torch.isfinite(found).all():
        return float("inf")
    if exact.numel() == 0:
        return 0.0
    return float((found - wide).norm() / wide.norm())
