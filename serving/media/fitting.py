"""The size that a model's own processor brings a picture to, known before it is decoded.

A processor that only resizes may as well be given the picture in that size: what it would do is
done in a media worker, where a JPEG can be decoded smaller and the pixels that are handed over are
few. Sizes are (width, height).
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass

from sensorium.model_adapters.patch_rule import size_by_area

__all__ = ["Fit", "read_fit"]

Size = tuple[int, int]
_KEY = "fit"


@dataclass(frozen=True)
class Fit:
    """A rule, as Hugging Face's processors apply it.

    `area`: both sides multiples of `step` with an area of `least` to `most` pixels (Qwen-VL);
    `shorter`: the shorter side is `least`, the other in proportion (CLIP); `stretch`: `least` wide
    and `most` high, whatever the shape (SigLIP).
    """

    rule: str
    least: int
    most: int = 0
    step: int = 1

    def recipe(self) -> str:
        """The rule as text, by which a request names it."""
        return json.dumps({_KEY: asdict(self)}, sort_keys=True)

    def target(self, size: Size) -> Size | None:
        """The size to bring a picture of `size` to; None where that is best left alone.

        So it is where the picture would grow, and where the processor would not leave the result
        as it is.
        """
        wanted = self._resized(size)
        if wanted is None or wanted[0] > size[0] or wanted[1] > size[1] or wanted == size:
            return None
        return wanted if self._resized(wanted) == wanted else None

    def _resized(self, size: Size) -> Size | None:
        if self.rule == "stretch":
            return self.least, self.most
        if self.rule == "shorter":
            return _shorter(size, self.least)
        with contextlib.suppress(ValueError):  # the processor says so itself
            return size_by_area(size, self.step, self.least, self.most)
        return None


def _shorter(size: Size, edge: int) -> Size:
    # transformers/image_transforms.py, get_resize_output_image_size
    longer = int(edge * max(size) / min(size))
    return (edge, longer) if size[0] <= size[1] else (longer, edge)


def read_fit(recipe: str) -> Fit | None:
    """The rule in a recipe, where it holds one."""
    found = json.loads(recipe).get(_KEY)
    return Fit(**found) if found else None
