"""How an image becomes square pictures for the tower, and which rows of features become its tokens.

A layout knows sizes only: no torch, no model, and numpy only where rows are asked for. What it says
of rows is a plain gather, so that one operation packs the tokens of every family.

LLaVA-1.6's `anyres` with `spatial_unpad`: haotian-liu/LLaVA, llava/mm_utils.py
(`select_best_resolution`, `resize_and_pad_image`) and llava/model/llava_arch.py (`unpad_image`).
LLaVA-OneVision's `anyres_max_N`: LLaVA-VL/LLaVA-NeXT, llava/model/llava_arch.py.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    # For each token a row of features, or NEWLINE.
    Rows = npt.NDArray[np.int64]

__all__ = [
    "NEWLINE",
    "AnyresLayout",
    "Arrangement",
    "ClassLastLayout",
    "Crop",
    "Layout",
    "Pool",
    "PoolMode",
    "SquareLayout",
    "ViewsLayout",
    "arrange",
]

# Among rows: the checkpoint's trained newline vector instead of a row of features.
NEWLINE = -1
# How many times more than `at_most` tiles a picture must be, along an edge, to be made smaller.
_CLEARLY_MORE = 1.1
# Pictures with both edges below this are seen in one square by a `ViewsLayout`.
_SMALL = 512
# `bilinear` and `adaptive` (average) resize to a shape; `average` and `max` have a window.
PoolMode = Literal["bilinear", "adaptive", "average", "max"]


@dataclass(frozen=True)
class Pool:
    """Grids of features that are made smaller; what comes out are further rows to take.

    `rows` is `[grids, rows, columns]`, `shape` the (rows, columns) of what comes out (`bilinear`,
    `adaptive`) or of the window that becomes one (`average`, `max`).
    """

    rows: Rows
    mode: PoolMode
    shape: tuple[int, int]


@dataclass(frozen=True)
class Arrangement:
    """The tokens of one image or video, made of the features of its `squares`.

    `rows` says for each token which row it is: of the features, then of what `pools` give.
    """

    squares: int
    rows: Rows
    pools: Sequence[Pool] = ()


class Layout(Protocol):
    """What the engine and the processor ask of a layout; sizes are (width, height) in pixels."""

    @property
    def has_newline(self) -> bool:
        """Whether rows can be `NEWLINE`."""

    def squares(self, width: int, height: int) -> int:
        """How many square pictures an image becomes."""

    def tokens(self, width: int, height: int) -> int:
        """How many tokens an image becomes."""

    def rows(self, width: int, height: int) -> Rows:
        """For each token, the row of the image's features `[squares * rows a square]`.

        The rows that `pools` give follow those of the features.
        """

    def pools(self, width: int, height: int) -> Sequence[Pool]:
        """Grids of features that are made smaller first."""

    def largest(self) -> tuple[int, int]:
        """The size of an image that becomes the most tokens."""


def arrange(layout: Layout, width: int, height: int) -> Arrangement:
    """How an image's features become its tokens."""
    return Arrangement(
        layout.squares(width, height), layout.rows(width, height), layout.pools(width, height)
    )


@dataclass(frozen=True)
class SquareLayout:
    """One square a picture, each of its `count` features a token; a newline may follow."""

    size: int
    count: int
    has_newline: bool = False

    def squares(self, width: int, height: int) -> int:
        """One."""
        return 1

    def tokens(self, width: int, height: int) -> int:
        """All features of the square."""
        return self.count + self.has_newline

    def rows(self, width: int, height: int) -> Rows:
        """All in order."""
        import numpy as np

        return np.append(np.arange(self.count), np.full(int(self.has_newline), NEWLINE))

    def pools(self, width: int, height: int) -> Sequence[Pool]:
        """None."""
        return ()

    def largest(self) -> tuple[int, int]:
        """Any size is as good as the tower's."""
        return self.size, self.size


@dataclass(frozen=True)
class ClassLastLayout(SquareLayout):
    """One square a picture, whose first feature, the class token, becomes the last token."""

    @property
    def parts(self) -> tuple[int, int]:
        """Tokens of patches and of the class."""
        return self.count - 1, 1

    def rows(self, width: int, height: int) -> Rows:
        """The patches in order, then the class."""
        import numpy as np

        return np.roll(np.arange(self.count), -1)


@dataclass(frozen=True)
class ViewsLayout(SquareLayout):
    """A picture as a grid of squares that become one square's features, of the whole and of parts.

    vikhyat/moondream, moondream/vision_encoder.py of 2024-05-20 (`VisionEncoder.preprocess`): which
    of four grids, by shape first and then by size, small pictures always one square.
    """

    def tiles(self, width: int, height: int) -> tuple[int, int]:
        """Squares across and down."""
        if max(width, height) < _SMALL:
            return 1, 1
        edge = self.size

        def distance(grid: tuple[int, int]) -> tuple[float, int]:
            down, across = grid
            # As the authors have it: rows are compared with the width, columns with the height.
            apart = abs(down * edge - width) + abs(across * edge - height)
            return abs(across / down - width / height), apart

        down, across = min(((1, 1), (1, 2), (2, 1), (2, 2)), key=distance)
        return across, down

    def squares(self, width: int, height: int) -> int:
        """All squares of the grid."""
        across, down = self.tiles(width, height)
        return across * down

    def joined(self) -> SquareLayout:
        """What is left of the squares once the tower has seen them."""
        return SquareLayout(self.size, self.count)


@dataclass(frozen=True)
class Crop:
    """Rows and columns of the stitched feature grid that hold picture, not padding."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True)
class AnyresLayout:
    """Tiles of `size` pixels with `grid` x `grid` features each, and the canvases they may fill.

    With `at_most`, stitched features of clearly more than so many tiles are made smaller.
    """

    size: int
    grid: int
    pinpoints: tuple[tuple[int, int], ...]
    at_most: int | None = None
    has_newline = True

    def canvas(self, width: int, height: int) -> tuple[int, int]:
        """The canvas (width, height) that keeps most of the image and wastes least."""
        best, kept, wasted = self.pinpoints[0], -1, math.inf
        for wide, high in self.pinpoints:
            scale = min(wide / width, high / height)
            inside = min(int(width * scale) * int(height * scale), width * height)
            waste = wide * high - inside
            if inside > kept or (inside == kept and waste < wasted):
                best, kept, wasted = (wide, high), inside, waste
        return best

    def fitted(self, width: int, height: int) -> tuple[int, int]:
        """The size of the image scaled into its canvas."""
        wide, high = self.canvas(width, height)
        if wide / width < high / height:
            return wide, min(math.ceil(height * (wide / width)), high)
        return min(math.ceil(width * (high / height)), wide), high

    def tiles(self, width: int, height: int) -> tuple[int, int]:
        """Tiles across and down, the picture of the whole not counted."""
        wide, high = self.canvas(width, height)
        return wide // self.size, high // self.size

    def crop(self, width: int, height: int) -> Crop:
        """What is left of the stitched features once the padding is cut away."""
        across, down = self.tiles(width, height)
        columns, rows = across * self.grid, down * self.grid
        if width / height > columns / rows:
            pad = (rows - int(height * (columns / width))) // 2
            return Crop(pad, rows - pad, 0, columns)
        pad = (columns - int(width * (rows / height))) // 2
        return Crop(0, rows, pad, columns - pad)

    def shape(self, width: int, height: int) -> tuple[int, int]:
        """Rows and columns of the stitched features as they become tokens."""
        crop = self.crop(width, height)
        rows, columns = crop.bottom - crop.top, crop.right - crop.left
        if self.at_most is not None:
            times = math.sqrt(rows * columns / (self.at_most * self.grid**2))
            if times > _CLEARLY_MORE:
                return int(rows // times), int(columns // times)
        return rows, columns

    def tokens(self, width: int, height: int) -> int:
        """Tokens of an image: the whole as one square, then each row with its newline."""
        rows, columns = self.shape(width, height)
        return self.grid**2 + rows * (columns + 1)

    def squares(self, width: int, height: int) -> int:
        """The picture of the whole, and the tiles."""
        across, down = self.tiles(width, height)
        return 1 + across * down

    def rows(self, width: int, height: int) -> Rows:
        """The whole as one square, then each row of the stitched tiles and its newline.

        Rows and columns that only padding filled are left out.
        """
        import numpy as np

        kept, each = self._kept(width, height), self.grid**2
        shape = self.shape(width, height)
        if shape != kept.shape:
            kept = each * self.squares(width, height) + np.arange(math.prod(shape)).reshape(shape)
        ended = np.pad(kept, ((0, 0), (0, 1)), constant_values=NEWLINE)
        return np.concatenate([np.arange(each), ended.reshape(-1)])

    def pools(self, width: int, height: int) -> Sequence[Pool]:
        """The stitched tiles, where they are too many."""
        kept, shape = self._kept(width, height), self.shape(width, height)
        return () if shape == kept.shape else (Pool(kept[None], "bilinear", shape),)

    def _kept(self, width: int, height: int) -> Rows:
        """The features of the stitched tiles that hold picture, `[rows, columns]`."""
        import numpy as np

        across, down = self.tiles(width, height)
        each = self.grid**2
        tiles = each + np.arange(across * down * each)
        stitched = tiles.reshape(down, across, self.grid, self.grid).swapaxes(1, 2)
        stitched = stitched.reshape(down * self.grid, across * self.grid)
        crop = self.crop(width, height)
        return stitched[crop.top : crop.bottom, crop.left : crop.right]

    def largest(self) -> tuple[int, int]:
        """A canvas filled without padding, or as much of one as is not made smaller."""
        return _largest(self)


@functools.cache
def _largest(layout: AnyresLayout) -> tuple[int, int]:
    sizes = list(layout.pinpoints)
    if layout.at_most is not None:
        step = max(1, layout.size // layout.grid)
        for wide, high in layout.pinpoints:
            sizes += [(wide, part) for part in range(step, high, step)]
            sizes += [(part, high) for part in range(step, wide, step)]
    return max(sizes, key=lambda pair: layout.tokens(*pair))
