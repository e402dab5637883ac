"""MobileVLM V2's tail, as its authors write it."""

from __future__ import annotations

import torch
from torch.nn import functional

from sensorium.kernels.cases import Case, Maker, Sizes, Work, bytes_of
from sensorium.kernels.ldpv2_tail.op import ldpv2_tail

__all__ = ["CASES"]


def _tail(sizes: Sizes, make: Maker) -> Work:
    images, grid, width = sizes["images"], sizes["grid"], sizes["width"]
    x = make.normal(images * grid * grid, width)
    weight, bias = make.normal(width, 1, 3, 3, scale=0.3), make.normal(width, scale=0.1)

    def eager(x: torch.Tensor) -> torch.Tensor:
        # Meituan-AutoML/MobileVLM, vision_projector.py (`TokenDownLayer`, `PosInjLayer`).
        tokens = x.view(images, grid * grid, width).permute(0, 2, 1)
        image = tokens.reshape(images, width, grid, grid)
        pooled = functional.adaptive_avg_pool2d(image, (grid // 2, grid // 2))
        placed = functional.conv2d(pooled, weight, bias, padding=1, groups=width) + pooled
        return placed.flatten(2).transpose(1, 2).reshape(-1, width)

    return Work(x, eager, lambda x: ldpv2_tail(x, weight, bias, grid), bytes_of(x) * 5 // 4)


CASES = (
    Case(
        "mobilevlm-v2",
        "ldpv2_tail",
        tiny={"images": 2, "grid": 6, "width": 20},
        real={"images": 8, "grid": 24, "width": 2048},
        build=_tail,
    ),
)
