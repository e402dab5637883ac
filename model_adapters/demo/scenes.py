"""Pictures of one to four coloured shapes, with the truth about them and labels for every patch."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from sensorium.model_adapters.demo.drawing import (
    COLOURS,
    SHAPES,
    Backdrop,
    Canvas,
    Rgb,
    Thing,
    contrast,
    draw_thing,
    finish,
    paint,
    paint_backdrop,
)

__all__ = [
    "CHARACTERS",
    "PATCH",
    "SIZES",
    "CharacterBox",
    "Labels",
    "ShapeScene",
    "new_thing",
    "paint_shapes",
    "patch_labels",
    "random_shapes",
]

PATCH: Final = 16
CHARACTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SIGN_LABEL: Final = 11
MIN_CONTRAST: Final = 95

SIZES: Final = (
    *[(224, 128)] * 5,
    *[(192, 128)] * 4,
    *[(160, 160)] * 3,
    (128, 192),
    (128, 224),
    (224, 96),
    (160, 128),
    (128, 128),
)
"""Sizes the image processor makes of real files: 16:9, 3:2 and 4:3, square, upright, small."""

OBJECT_COUNTS: Final = (1, 2, 2, 3, 3, 4)
LARGEST_HALVES: Final = (24, 28, 34, 44)

Labels = npt.NDArray[np.int64]
"""Truth per 16-pixel patch, (3, rows, columns): shape, colour and character; 0 is none."""


@dataclass(frozen=True)
class CharacterBox:
    """Where one printed character is, in pixels of the small picture."""

    character: str
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class ShapeScene:
    """A picture of shapes: 8-bit `pixels` (height, width, 3) and everything true about it."""

    pixels: npt.NDArray[np.uint8]
    things: tuple[Thing, ...]
    backdrop: Backdrop
    labels: Labels = field(repr=False)

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])


Box = tuple[float, float, float, float]


def _free_place(
    rng: random.Random,
    size: tuple[int, int],
    half: float,
    others: Sequence[Thing],
    keep_off: Box | None,
) -> tuple[float, float] | None:
    width, height = size
    if width < 2.6 * half + 4 or height < 2.4 * half + 4:
        return None
    for _ in range(40):
        x = rng.uniform(half * 1.3 + 2, width - half * 1.3 - 2)
        y = rng.uniform(half * 1.2 + 2, height - half * 1.2 - 2)
        if any(
            (x - o.x) ** 2 + (y - o.y) ** 2 <= ((half + o.half) * 1.22 + 4) ** 2 for o in others
        ):
            continue
        if (
            keep_off is not None
            and keep_off[0] - half * 1.3 < x < keep_off[2] + half * 1.3
            and keep_off[1] - half * 1.2 < y < keep_off[3] + half * 1.2
        ):
            continue
        return x, y
    return None


def new_thing(
    rng: random.Random,
    size: tuple[int, int],
    others: Sequence[Thing],
    behind: Sequence[Rgb],
    *,
    halves: tuple[float, float] = (14, 36),
    keep_off: Box | None = None,
    clean: bool = False,
) -> Thing | None:
    """A random shape that overlaps none of `others` nor the box `keep_off` and can be seen.

    `halves` are the smallest and largest half size, `behind` the colours it must stand out from.
    Returns None when no place was found in a dozen tries.
    """
    smallest, largest = halves
    for _ in range(12):
        half = rng.uniform(smallest, largest)
        place = _free_place(rng, size, half, others, keep_off)
        if place is None:
            largest = max(smallest + 1, largest * 0.75)
            continue
        colour = rng.choice(COLOURS)
        rgb = paint(rng, colour, named=clean)
        if min(contrast(rgb, other) for other in behind) < MIN_CONTRAST:
            continue
        turned = not clean and rng.random() < 0.5
        return Thing(
            shape=rng.choice(SHAPES),
            colour=colour,
            rgb=rgb,
            x=place[0],
            y=place[1],
            half=half,
            turn=rng.uniform(-0.22, 0.22) if turned else 0.0,
            outlined=rng.random() < 0.2,
        )
    return None


def _alike(rng: random.Random, thing: Thing, first: Thing, behind: Sequence[Rgb]) -> Thing:
    """`thing` with the shape or the colour of `first`, so that questions need both."""
    if rng.random() < 0.5:
        return replace(thing, shape=first.shape)
    rgb = paint(rng, first.colour, 20)
    if min(contrast(rgb, other) for other in behind) < MIN_CONTRAST:
        return thing
    return replace(thing, colour=first.colour, rgb=rgb)


def random_shapes(
    rng: random.Random,
    size: tuple[int, int],
    behind: Sequence[Rgb],
    *,
    most: int,
    clean: bool = False,
    similar_share: float = 0.3,
) -> tuple[Thing, ...]:
    """One to `most` shapes (at most four) for a picture of `size`.

    In `similar_share` of the pictures shapes repeat the shape or the colour of the first one.
    """
    wanted = rng.choice([count for count in OBJECT_COUNTS if count <= most])
    similar = rng.random() < similar_share
    things: list[Thing] = []
    while not things:
        for _ in range(wanted):
            halves = (16.0, float(rng.choice(LARGEST_HALVES)))
            thing = new_thing(rng, size, things, behind, halves=halves, clean=clean)
            if thing is None:
                continue
            if similar and things and rng.random() < 0.6:
                thing = _alike(rng, thing, things[0], behind)
            things.append(thing)
    return tuple(things)


def paint_shapes(
    rng: random.Random,
    size: tuple[int, int],
    most: int = 4,
    clean_share: float = 0.3,
    similar_share: float = 0.3,
) -> ShapeScene:
    """A random picture of shapes; `clean_share` of them as a drawing program would make them.

    `most` and `similar_share` as in `random_shapes`.
    """
    clean = rng.random() < clean_share
    canvas, backdrop = paint_backdrop(rng, size, clean=clean)
    things = random_shapes(
        rng, size, backdrop.rgbs, most=most, clean=clean, similar_share=similar_share
    )
    for thing in things:
        draw_thing(canvas, thing)
    labels = patch_labels(size, things)
    return ShapeScene(finish(rng, canvas, clean), things, backdrop, labels)


def _covering_thing(size: tuple[int, int], things: Sequence[Thing]) -> Canvas:
    canvas = Canvas(Image.new("L", size, 0), *size, 1.0, 1.0)
    for index, thing in enumerate(things):
        if thing.shape in SHAPES:
            draw_thing(canvas, thing, index + 1)
    return canvas


def patch_labels(
    size: tuple[int, int],
    things: Sequence[Thing],
    sign: tuple[Box, str] | None = None,
    characters: Sequence[CharacterBox] = (),
) -> Labels:
    """What each patch shows: shape (1-6, 11 for a sign), colour (1-8), character (1-36).

    A patch belongs to a thing that covers 3 of the 16 points sampled in it.
    """
    width, height = size
    rows, columns = height // PATCH, width // PATCH
    canvas = _covering_thing(size, things)
    if sign is not None:
        under = Image.new("L", size, 0)
        Canvas(under, *size, 1.0, 1.0).draw.rectangle(sign[0], fill=len(things) + 1)
        under.paste(canvas.image, mask=canvas.image.point(lambda value: 255 if value else 0))
        canvas = Canvas(under, *size, 1.0, 1.0)
    points = np.asarray(canvas.image).reshape(rows, PATCH, columns, PATCH)[:, 2::4, :, 2::4]
    points = points.transpose(0, 2, 1, 3).reshape(rows, columns, -1)
    labels = np.zeros((3, rows, columns), np.int64)
    for index, thing in enumerate(things):
        covered = (points == index + 1).sum(-1) >= 3
        labels[0][covered] = SHAPES.index(thing.shape) + 1
        labels[1][covered] = COLOURS.index(thing.colour) + 1
    if sign is not None:
        covered = (points == len(things) + 1).sum(-1) >= 3
        covered &= labels[0] == 0
        labels[0][covered] = SIGN_LABEL
        labels[1][covered] = COLOURS.index(sign[1]) + 1
    for box in characters:
        _label_character(labels[2], box)
    return labels


def _label_character(labels: npt.NDArray[np.int64], box: CharacterBox) -> None:
    rows, columns = labels.shape
    value = CHARACTERS.index(box.character) + 1
    for row in range(max(0, int(box.top // PATCH)), min(rows, int(box.bottom // PATCH) + 1)):
        if min(box.bottom, (row + 1) * PATCH) - max(box.top, row * PATCH) < 5:
            continue
        first, last = int(box.left // PATCH), int(box.right // PATCH)
        for column in range(max(0, first), min(columns, last + 1)):
            left, right = column * PATCH, (column + 1) * PATCH
            centred = box.left <= left + PATCH / 2 < box.right
            shared = min(box.right, right) - max(box.left, left)
            if centred or (labels[row, column] == 0 and shared > 4):
                labels[row, column] = value
