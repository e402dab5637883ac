"""A picture whose squares were prepared before it reached vLLM."""

from __future__ import annotations

from typing import Any

from PIL import Image

__all__ = ["RECIPES", "PreparedImage"]

# The recipes of the models of this process: a request may name no other.
RECIPES: set[str] = set()


class PreparedImage(Image.Image):
    """Looks like the picture it stands for as far as its size goes; it has no pixels to draw.

    `pixels` are 8-bit `[squares, 3, edge, edge]`, `recipe` names the plan they were prepared by
    (`Plan.recipe`).
    """

    def __init__(self, size: tuple[int, int], pixels: Any, recipe: str) -> None:
        super().__init__()
        self._size = size
        self._mode = "RGB"
        self.pixels = pixels
        self.recipe = recipe
