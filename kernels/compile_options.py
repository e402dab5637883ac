"""What every Triton kernel of ours is compiled with."""

from __future__ import annotations

__all__ = ["COMPILE_OPTIONS"]

# Triton 3.10 turns the fusing of multiplications and additions off by default; said here, results
# stay the same from one version to the next.
COMPILE_OPTIONS = {"enable_fp_fusion": True}
