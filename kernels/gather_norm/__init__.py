"""Rows gathered, joined or averaged, normalised and, if asked, quantised, in one pass."""

from sensorium.kernels.gather_norm.op import Norm, gather_norm, gather_norm_fp8

__all__ = ["Norm", "gather_norm", "gather_norm_fp8"]
