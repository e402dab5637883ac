"""The squares that Hugging Face's image processors make of a picture, made without them.

For processors that resize, crop or tile 8-bit pixels by one of torch's filters and then only scale
and normalise them. Facts: huggingface/transformers, image_processing_backends.py,
models/clip/image_processing_clip.py and models/llava_next/image_processing_llava_next.py. Sizes are
(width, height).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from sensorium.model_adapters.images import Pixels, crop_middle, fitted_edges, stacked, tile
from sensorium.model_adapters.layouts import AnyresLayout
from sensorium.model_adapters.picture_rule import PictureRule, Size
from sensorium.model_adapters.resampling import Picture, torch_bicubic, torch_resized

__all__ = ["SquareRule"]


@dataclass(frozen=True)
class SquareRule(PictureRule):
    """How a processor makes squares of `edge` pixels.

    `crop`: the shorter side resized, the middle cut out (CLIP); `stretch`: resized whatever the
    shape (SigLIP); `tiles`: the whole stretched, and the tiles of the best canvas of `pinpoints`
    (LLaVA-NeXT).
    """

    key: ClassVar[str] = "squares"

    way: str
    edge: int
    pinpoints: tuple[Size, ...] = ()
    filtering: str = "bicubic"

    @cached_property
    def _tiles(self) -> AnyresLayout:
        return AnyresLayout(self.edge, 1, self.pinpoints)

    def _resized(self, picture: Picture, size: Size) -> Picture:
        return torch_resized(picture, size, self.filtering)

    def seen(self, size: Size) -> Size:
        """In what size a picture of `size` is seen at most."""
        if self.way == "crop":
            return fitted_edges(size, self.edge)
        if self.way == "stretch":
            return self.edge, self.edge
        width, height = self._tiles.fitted(*size)
        return max(width, self.edge), max(height, self.edge)

    def prepare(self, picture: Picture, size: Size) -> Pixels:
        """8-bit squares `[squares, 3, edge, edge]`; `size` is the file's, before any reduction.

        The processor's own, but for the crop of a picture of more than 1 to 32, which is made of
        what it shows alone: the whole could take gigabytes.
        """
        if self.way == "tiles":
            return stacked(tile(picture, self._tiles, size, self._resized))
        if self.way == "crop":
            return stacked([crop_middle(picture, self.edge, size, self._resized)])
        return stacked([self._resized(picture, (self.edge, self.edge))])

    def prepare_nearly(self, picture: Picture, size: Size) -> Pixels:
        """As `prepare`, a crop by `crop_middle` with `nearly`."""
        if self.way != "crop" or self.filtering != "bicubic":
            return self.prepare(picture, size)
        return stacked([crop_middle(picture, self.edge, size, torch_bicubic, nearly=True)])
