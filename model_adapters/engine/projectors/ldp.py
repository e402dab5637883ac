"""MobileVLM's projectors, LDP and LDPv2.

Facts: Meituan-AutoML/MobileVLM, mobilevlm/model/vision_projector.py; LDP's blocks are
torchvision's `InvertedResidual` with a layer norm over channels.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from sensorium.model_adapters.projector_types import ProjectorType

__all__ = ["LdpProjector", "LdpV2Projector"]

_LDPV2_GRID = 12


def _mlp(width: int, out: int) -> list[nn.Module]:
    return [nn.Linear(width, out), nn.GELU(), nn.Linear(out, out)]


def _to_grid(tokens: torch.Tensor) -> torch.Tensor:
    """`[images, patches, width]` to `[images, width, rows, columns]`."""
    images, patches, width = tokens.shape
    edge = math.isqrt(patches)
    return tokens.transpose(1, 2).reshape(images, width, edge, edge)


def _to_tokens(grid: torch.Tensor) -> torch.Tensor:
    return grid.flatten(2).transpose(1, 2)


class LdpProjector(nn.Module):
    """MobileVLM's projector: halves the grid of patches along each edge."""

    def __init__(self, kind: ProjectorType, width: int, out: int) -> None:
        super().__init__()
        self.model = nn.Module()
        # The authors' sequences begin with an identity, which their names count.
        self.model.mlp = nn.Sequential(nn.Identity(), *_mlp(width, out))
        self.model.mb_block = nn.Sequential(
            nn.Identity(), _InvertedResidual(out, 1), _InvertedResidual(out, 2)
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """`[images, patches, width]` to `[images, patches / 4, out]`."""
        return _to_tokens(self.model.mb_block(_to_grid(self.model.mlp(tokens))))


class _ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of `[images, channels, rows, columns]`."""

    def forward(self, grid: torch.Tensor) -> torch.Tensor:
        """Same shape."""
        return super().forward(grid.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _SqueezeExcitation(nn.Module):
    """Scales channels by what the whole image says about them."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, grid: torch.Tensor) -> torch.Tensor:
        """Same shape."""
        pooled = functional.relu(self.fc1(grid.mean((2, 3), keepdim=True)))
        return grid * functional.hardsigmoid(self.fc2(pooled))


class _InvertedResidual(nn.Module):
    """A depthwise 3x3 block without expansion; skips around itself at stride 1."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        depthwise = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
        self.skips = stride == 1
        self.block = nn.Sequential(
            nn.Sequential(depthwise, _ChannelNorm(channels), nn.Hardswish()),
            _SqueezeExcitation(channels, _multiple_of_eight(channels // 4)),
            nn.Sequential(nn.Conv2d(channels, channels, 1, bias=False), _ChannelNorm(channels)),
        )

    def forward(self, grid: torch.Tensor) -> torch.Tensor:
        """`[images, channels, rows, columns]`, the last two divided by the stride."""
        out: torch.Tensor = self.block(grid)
        return grid + out if self.skips else out


def _multiple_of_eight(width: int) -> int:
    """The nearest multiple of eight that is no more than a tenth below `width`."""
    rounded = max(8, (width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded


class LdpV2Projector(nn.Module):
    """MobileVLM V2's projector: pools to a grid of 12x12 and adds positions by convolution."""

    def __init__(self, kind: ProjectorType, width: int, out: int) -> None:
        super().__init__()
        self.mlp = nn.Module()
        self.mlp.mlp = nn.Sequential(*_mlp(width, out))
        self.peg = nn.Module()
        self.peg.peg = nn.Sequential(nn.Conv2d(out, out, 3, 1, 1, groups=out))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """`[images, patches, width]` to `[images, 144, out]`."""
        grid = functional.adaptive_avg_pool2d(_to_grid(self.mlp.mlp(tokens)), _LDPV2_GRID)
        return _to_tokens(self.peg.peg(grid) + grid)
