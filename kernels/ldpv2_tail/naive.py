"""The definition of ldpv2_tail in plain torch."""

from __future__ import annotations

import torch
from torch.nn import functional

__all__ = ["ldpv2_tail"]


def ldpv2_tail(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, grid: int
) -> torch.Tensor:
    """`[images * (grid / 2)**2, width]` from `x` `[images * grid**2, width]`.

    2x2 averages, then a depthwise 3x3 convolution by `weight` `[width, 1, 3, 3]` and `bias`
    `[width]`, added to them: Meituan-AutoML/MobileVLM, mobilevlm/model/vision_projector.py.
    """
    width = x.shape[1]
    image = x.view(-1, grid, grid, width).permute(0, 3, 1, 2)
    pooled = functional.avg_pool2d(image, 2)
    out = functional.conv2d(pooled, weight, bias, padding=1, groups=width) + pooled
    return out.permute(0, 2, 3, 1).reshape(-1, width)
