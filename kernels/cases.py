"""Inputs declared once: tests run them tiny, benchmarks run them at the models' sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from sensorium.kernels.accuracy import TOLERANCE

__all__ = ["Case", "Maker", "Sizes", "Work", "bytes_of"]

Sizes = Mapping[str, int]


class Maker:
    """Seeded tensors of one dtype; with `exact`, the same values held in float64.

    The values are rounded to `dtype` first, so a float64 result is what the inputs really mean.
    """

    def __init__(
        self, dtype: torch.dtype, device: str = "cpu", *, seed: int = 0, exact: bool = False
    ) -> None:
        self.dtype = dtype
        self.device = device
        self.held = torch.float64 if exact else dtype
        self._generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int, scale: float = 1.0, mean: float = 0.0) -> torch.Tensor:
        """Normal values around `mean`."""
        drawn = torch.randn(*shape, generator=self._generator) * scale + mean
        return drawn.to(self.dtype).to(self.device, self.held)

    def integers(self, low: int, high: int, *shape: int) -> torch.Tensor:
        """int32 values of `[low, high)`."""
        drawn = torch.randint(low, high, shape, generator=self._generator)
        return drawn.to(self.device, torch.int32)


@dataclass(frozen=True)
class Work:
    """A case at one size: its input `x`, and two functions of it that must agree.

    `eager` is the family's own way in torch; `ours` calls the operator. `moved` counts the bytes
    that any implementation must read and write, `flops` the arithmetic; `others` are further
    candidates by name, each with its error in `allowed` or the case's. What copies from the host
    at each call cannot be `captured` in a graph, nor `eager` where that waits for the device.
    """

    x: Any
    eager: Callable[[Any], torch.Tensor]
    ours: Callable[[Any], torch.Tensor]
    moved: int
    flops: int = 0
    others: Mapping[str, Callable[[Any], torch.Tensor]] = field(default_factory=dict)
    allowed: Mapping[str, float] = field(default_factory=dict)
    captured: bool = True
    eager_captured: bool = True


@dataclass(frozen=True)
class Case:
    """One family's use of an operator, at a size for tests and at the model's own.

    `rounds_to` is the dtype of results where that is not the inputs'.
    """

    name: str
    op: str
    tiny: Sizes
    real: Sizes
    build: Callable[[Sizes, Maker], Work]
    rounds_to: torch.dtype | None = None

    def allowed(self, dtype: torch.dtype) -> float:
        """The error that a result from inputs of `dtype` may have."""
        return TOLERANCE[self.rounds_to or dtype]


def bytes_of(*tensors: torch.Tensor) -> int:
    """Bytes of the tensors."""
    return sum(int(tensor.numel() * tensor.element_size()) for tensor in tensors)
