"""The features of a tiled image as one row of tokens (LLaVA-1.6's `spatial_unpad`)."""

from __future__ import annotations

import torch

from sensorium.model_adapters.packers import AnyresLayout

__all__ = ["pack"]


def pack(
    features: torch.Tensor, layout: AnyresLayout, size: tuple[int, int], newline: torch.Tensor
) -> torch.Tensor:
    """`[tokens, hidden]` from `[1 + tiles, grid * grid, hidden]` of an image of (width, height).

    The picture of the whole comes first; the tiles are stitched to one grid, the rows or columns
    that only padding filled are cut off, and each row ends with the newline vector `[hidden]`.
    """
    across, down = layout.tiles(*size)
    crop = layout.crop(*size)
    hidden = features.shape[-1]
    tiles = features[1:].view(down, across, layout.grid, layout.grid, hidden)
    stitched = tiles.transpose(1, 2).reshape(down * layout.grid, across * layout.grid, hidden)
    kept = stitched[crop.top : crop.bottom, crop.left : crop.right]
    ends = newline.to(kept).expand(kept.shape[0], 1, hidden)
    return torch.cat([features[0], torch.cat([kept, ends], dim=1).flatten(0, 1)])
