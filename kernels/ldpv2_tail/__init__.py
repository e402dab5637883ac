"""MobileVLM V2's pooling and positional convolution in one pass over tokens."""

from sensorium.kernels.ldpv2_tail.op import ldpv2_tail

__all__ = ["ldpv2_tail"]
