"""Features of square pictures to tokens of images, by the rows that a layout names."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sensorium.model_adapters.layouts import Layout

__all__ = ["pack"]


def pack(
    features: torch.Tensor,
    layout: Layout,
    sizes: Sequence[tuple[int, int]],
    newline: torch.Tensor | None,
) -> list[torch.Tensor]:
    """One `[tokens, hidden]` an image from `[squares, rows, hidden]` of all images in a row.

    `sizes` are the images' (width, height) in pixels, `newline` is `[hidden]`.
    """
    table = features.flatten(0, 1)
    if newline is not None:
        table = torch.cat([table, newline.to(table)[None]])
    packed, first = [], 0
    for width, height in sizes:
        rows = torch.from_numpy(layout.rows(width, height))
        # The newline is the table's last row.
        rows = torch.where(rows < 0, table.shape[0] - 1, rows + first)
        packed.append(table[rows.to(table.device)])
        first += layout.squares(width, height) * features.shape[1]
    return packed
