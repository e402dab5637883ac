"""LLaVA-1.6's packing: what its authors stitch, cut and join, image by image."""

from __future__ import annotations

import torch

from sensorium.kernels.cases import Case, Maker, Sizes, Work, bytes_of
from sensorium.kernels.pack_project.op import pack_project
from sensorium.kernels.pack_project.plan import Tiled, plan_packing, tiled_rows

__all__ = ["CASES", "stitch", "tiled_images"]


def tiled_images(images: int, grid: int) -> list[Tiled]:
    """Images of several shapes: wide, high, without padding, without tiles."""
    eighth = grid // 4
    shapes = [
        Tiled(2, 2, eighth, 2 * grid - eighth, 0, 2 * grid),
        Tiled(2, 2, 0, 2 * grid, eighth, 2 * grid - eighth),
        Tiled(1, 3, 0, grid, 0, 3 * grid),
        Tiled(0, 0),
    ]
    # At the model's own size every image is the most usual one, 4:3.
    return [shapes[number % 4] if grid < 24 else shapes[0] for number in range(images)]


def stitch(rows: torch.Tensor, image: Tiled, grid: int, newline: torch.Tensor) -> torch.Tensor:
    """`[tokens, width]` of one image from `[1 + tiles, grid * grid, width]`, as the authors do."""
    width = rows.shape[-1]
    if not image.down * image.across:
        return torch.cat([rows[0], newline[None]])
    tiles = rows[1:].view(image.down, image.across, grid, grid, width).permute(4, 0, 2, 1, 3)
    whole = tiles.flatten(1, 2).flatten(2, 3)[:, image.top : image.bottom, image.left : image.right]
    ends = newline[:, None, None].expand(*whole.shape[:-1], 1)
    return torch.cat([rows[0], torch.cat([whole, ends], dim=-1).flatten(1, 2).t()])


def _llava_next(sizes: Sizes, make: Maker) -> Work:
    """Squares with a CLS row; the newline takes its places after the rows are packed."""
    grid, width = sizes["grid"], sizes["width"]
    images = tiled_images(sizes["images"], grid)
    squares = [image.squares for image in images]
    x = make.normal(sum(squares), grid * grid + 1, width)
    newline = make.normal(width)
    plan = plan_packing([tiled_rows(image, grid, skip=1) for image in images], x.device)

    def eager(x: torch.Tensor) -> torch.Tensor:
        parts = zip(x[:, 1:].split(squares), images, strict=True)
        return torch.cat([stitch(rows, image, grid, newline) for rows, image in parts])

    def ours(x: torch.Tensor) -> torch.Tensor:
        return torch.cat(pack_project(x.flatten(0, 1), plan, lambda rows: rows, newline))

    kept = (len(plan.source) - len(plan.newlines)) * width * x.element_size()
    return Work(x, eager, ours, kept + bytes_of(x[0, 0]) * len(plan.source))


CASES = (
    Case(
        "llava-next",
        "pack_rows",
        tiny={"images": 5, "grid": 4, "width": 24},
        real={"images": 8, "grid": 24, "width": 1024},
        build=_llava_next,
    ),
)
