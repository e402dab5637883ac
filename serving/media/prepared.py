"""Media as models take them, and how each model wants them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = [
    "FrameRule",
    "PreparedPicture",
    "PreparedSound",
    "PreparedVideo",
    "Recipe",
    "VideoSource",
]


@dataclass(frozen=True)
class Recipe:
    """How one model's pictures are prepared.

    `plan` is a composed model's plan as JSON, or a `Fit`'s recipe. Without a plan a picture is
    decoded in `mode` (None: its own) over `background`; whole, where there is no `Fit` either.
    """

    plan: str = ""
    mode: str | None = "RGB"
    background: tuple[int, ...] = (255, 255, 255)

    def key(self) -> bytes:
        """Names the recipe among all."""
        text = json.dumps([self.plan, self.mode, self.background])
        return hashlib.sha256(text.encode()).digest()


@dataclass(frozen=True)
class PreparedPicture:
    """A picture, prepared: `pixels` are `[squares, 3, size, size]` from 0 to 255 for a plan.

    Without a plan they are the decoded picture's bytes in `mode`, `drawn` large. `size` is the
    file's own upright (width, height); `digest` names content and recipe together.
    """

    digest: bytes
    size: tuple[int, int]
    pixels: npt.NDArray[np.uint8] | npt.NDArray[np.float32]
    mode: str = ""
    drawn: tuple[int, int] = (0, 0)

    @property
    def nbytes(self) -> int:
        """What it takes of the cache."""
        return self.pixels.nbytes

    def image(self) -> Image.Image:
        """The decoded picture; it shares the pixels, so it must not be drawn into."""
        return Image.frombuffer(self.mode, self.drawn, self.pixels, "raw", self.mode, 0, 1)


@dataclass(frozen=True)
class VideoSource:
    """What is known of a video before it is decoded; `fps` and `duration` (s) are 0 if unknown."""

    frames: int
    fps: float
    duration: float


@dataclass(frozen=True)
class FrameRule:
    """Which frames of a video a model wants: `choose` gives indices, `name` tells rules apart.

    `choose` is called in a thread.
    """

    name: str
    choose: Callable[[VideoSource], list[int]]


@dataclass(frozen=True)
class PreparedVideo:
    """A video's frames, uint8 `[frames, height, width, 3]`, and their indices, ascending."""

    digest: bytes
    pixels: npt.NDArray[np.uint8]
    indices: list[int]
    source: VideoSource

    @property
    def nbytes(self) -> int:
        """What it takes of the cache."""
        return self.pixels.nbytes


@dataclass(frozen=True)
class PreparedSound:
    """A sound: mono samples, and how many there are in a second."""

    samples: npt.NDArray[np.float32]
    rate: int

    @property
    def nbytes(self) -> int:
        """What it takes of the cache."""
        return self.samples.nbytes
