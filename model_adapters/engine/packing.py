"""Features of square pictures to projected tokens of images, by the rows that a layout names."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from sensorium.kernels.pack_project import pack_project, plan_packing
from sensorium.model_adapters.layouts import Layout

__all__ = ["project"]


def project(
    features: torch.Tensor,
    projector: Callable[[torch.Tensor], torch.Tensor],
    layout: Layout,
    sizes: Sequence[tuple[int, int]],
    newline: torch.Tensor | None,
    *,
    by_row: bool,
) -> list[torch.Tensor]:
    """One `[tokens, hidden]` an image from `[squares, rows, width]` of all images in a row.

    A projector that works `by_row` gets only the rows that become tokens, in their order; another
    gets whole squares, and its rows are packed afterwards. `sizes` are the images' (width, height)
    in pixels, `newline` is `[hidden]`.
    """
    if not by_row:
        features, projector = projector(features), _unchanged
    images = [
        (
            torch.from_numpy(layout.rows(width, height)),
            layout.squares(width, height) * features.shape[1],
        )
        for width, height in sizes
    ]
    plan = plan_packing(images, features.device)
    return pack_project(features.flatten(0, 1), plan, projector, newline)


def _unchanged(rows: torch.Tensor) -> torch.Tensor:
    return rows
