"""What the device at hand can do, measured in the run of everything that is held against it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sensorium.benchmarks.kernels.measuring import microseconds

__all__ = ["Ceilings", "measure_ceilings"]


@dataclass(frozen=True)
class Ceilings:
    """Bytes a second of a copy, and operations a second of a large square product."""

    bytes_per_second: float
    flops_per_second: float

    def __str__(self) -> str:
        return (
            f"Ceilings: {self.bytes_per_second / 1e9:.0f} GB/s, "
            f"{self.flops_per_second / 1e12:.2f} TFLOP/s."
        )

    def floor_microseconds(self, flops: int, moved: int) -> float:
        """The least time that arithmetic and traffic allow."""
        return max(flops / self.flops_per_second, moved / self.bytes_per_second) * 1e6


def measure_ceilings(device: str, dtype: torch.dtype, *, tiny: bool) -> Ceilings:
    """Copy 2 GiB and multiply matrices of 8192; far smaller ones for a dry run."""
    size = (1 << 24) if tiny else (1 << 31)
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copied = microseconds(target.copy_, [source])
    del source, target
    edge = 256 if tiny else 8192
    a, b = torch.randn(2, edge, edge, device=device).to(dtype)
    multiplied = microseconds(lambda a: a @ b.t(), [a])
    return Ceilings(2 * size / copied * 1e6, 2 * edge**3 / multiplied * 1e6)
