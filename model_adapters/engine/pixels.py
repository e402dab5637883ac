"""8-bit pixels into a tower: scaling and normalising are folded into its patch embedding.

The embedding is a convolution without padding, so an affine map before it composes with it exactly.
What it is given is `(pixel - 128) / 128`, which every float type down to bfloat16 holds exactly,
where normalised values would be rounded.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from sensorium.kernels.fold import fold_input_map

__all__ = ["centred", "fold_normalisation", "normalised"]

_HALF = 128.0
_LEVELS = 255.0


def centred(pixels: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Pixels from 0 to 255 as numbers from -1 to 127/128, exact for 8-bit ones."""
    if pixels.is_floating_point():
        return ((pixels - _HALF) / _HALF).to(dtype)
    return (pixels.to(dtype) - _HALF) / _HALF


def normalised(
    pixels: torch.Tensor, mean: Sequence[float], std: Sequence[float], dtype: torch.dtype
) -> torch.Tensor:
    """8-bit pixels `[squares, 3, rows, columns]` as a tower that folds nothing was trained on."""
    shift = torch.tensor(mean, dtype=torch.float32, device=pixels.device)[:, None, None]
    scale = torch.tensor(std, dtype=torch.float32, device=pixels.device)[:, None, None]
    return ((pixels.float() / _LEVELS - shift) / scale).to(dtype)


def fold_normalisation(embedding: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
    """Make a patch embedding take `centred` pixels instead of normalised ones.

    `embedding` has a `weight` of `[out, 3, rows, columns]` and a `bias` of `[out]` or None, which
    it has afterwards. Computed in double precision.
    """
    weight: torch.Tensor = embedding.weight.data
    bias: torch.Tensor | None = embedding.bias
    scale = [_HALF / (_LEVELS * spread) for spread in std]
    shift = [(_HALF / _LEVELS - middle) / spread for middle, spread in zip(mean, std, strict=True)]
    folded, moved = fold_input_map(weight, bias, scale, shift)
    weight.copy_(folded)
    embedding.bias = nn.Parameter(moved, requires_grad=False)
