"""Pictures of one printed word or number, on a sign or bare, sometimes with a shape beside it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from sensorium.model_adapters.demo.drawing import (
    COLOURS,
    PAINT,
    Backdrop,
    Canvas,
    Rgb,
    Thing,
    contrast,
    draw_thing,
    finish,
    luminance,
    paint,
    paint_backdrop,
)
from sensorium.model_adapters.demo.fonts import load_font
from sensorium.model_adapters.demo.phrasing import split_words
from sensorium.model_adapters.demo.scenes import (
    Box,
    CharacterBox,
    Labels,
    new_thing,
    patch_labels,
)

__all__ = ["WORDS", "TextScene", "paint_text", "random_text"]

LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LEAST_PITCH: Final = 22.0
WORDS: Final = split_words(
    """STOP GO EXIT OPEN CLOSED SALE HELLO WORLD CAFE HOTEL BANK TAXI BUS PARK ZOO FOOD WATER MILK
    TEA COFFEE BREAD FISH APPLE LEMON MUSIC PIZZA NORTH SOUTH EAST WEST LEFT RIGHT UP DOWN PUSH PULL
    ON OFF YES NO SLOW FAST DANGER KEEP OUT ENTER THANKS PLEASE QUIET NEW OLD HOT COLD RED BLUE
    GREEN SUN MOON STAR RIVER LAKE HILL ROAD STREET GATE DOOR ROOM FLOOR LIFT STAIRS TICKET TRAIN
    PLANE SHIP PORT DOCK HOME SHOP BOOK TOY GAME CAT DOG BIRD LION TIGER BEAR WOLF FOX HORSE COW
    DUCK MOUSE QUEEN KING JACK ACE ONE TWO THREE FOUR FIVE VIDEO AUDIO IMAGE MODEL SERVER PYTHON
    LINUX TOKEN"""
)


@dataclass(frozen=True)
class TextScene:
    """A picture of a word: `pixels` (height, width, 3), and everything true about it.

    `sign_colour` is None for bare text; `things` are the shapes beside the word.
    """

    pixels: npt.NDArray[np.uint8]
    text: str
    text_colour: str
    sign_colour: str | None
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


def random_text(rng: random.Random, width: int) -> str:
    """A word, a made-up word or a number that fits a picture of `width` pixels in readable size."""
    most = max(3, min(6, int(width * 0.88 / 23)))
    kind = rng.random()
    if kind < 0.4:
        return rng.choice([word for word in WORDS if len(word) <= most])
    if kind < 0.7:
        return "".join(rng.choice(LETTERS) for _ in range(rng.randint(2, most)))
    return str(rng.randint(0, 10 ** rng.randint(1, min(5, most)) - 1))


@dataclass(frozen=True)
class _Lettering:
    text: str
    face: str
    pixels: int
    width: float
    height: float
    offset: tuple[float, float]


def _measure(canvas: Canvas, text: str, face: str, size: float) -> _Lettering:
    pixels = max(6, int(size * min(canvas.scale_x, canvas.scale_y)))
    left, top, right, bottom = load_font(face, pixels).getbbox(text)
    return _Lettering(
        text,
        face,
        pixels,
        (right - left) / canvas.scale_x,
        (bottom - top) / canvas.scale_y,
        (left, top),
    )


def _fit(rng: random.Random, canvas: Canvas, text: str, face: str) -> _Lettering:
    pitch = rng.uniform(LEAST_PITCH, 36)
    wanted = min(0.88 * canvas.width, pitch * len(text))
    trial = _measure(canvas, text, face, 40)
    size = 40 * min(wanted / trial.width, canvas.height * 0.4 / max(trial.height, 1))
    lettering = _measure(canvas, text, face, max(24, min(size, 64)))
    if lettering.width > canvas.width * 0.9:
        smaller = max(24, min(size, 64)) * canvas.width * 0.9 / lettering.width
        lettering = _measure(canvas, text, face, smaller)
    return lettering


def _print(
    canvas: Canvas, lettering: _Lettering, x: float, y: float, ink: Rgb
) -> list[CharacterBox]:
    """Draw the lettering with its box at (x, y); returns the box of every character."""
    font = load_font(lettering.face, lettering.pixels)
    left, top = lettering.offset
    canvas.draw.text(
        (x * canvas.scale_x - left, y * canvas.scale_y - top), lettering.text, font=font, fill=ink
    )
    boxes, start = [], 0.0
    for index, character in enumerate(lettering.text):
        end = font.getlength(lettering.text[: index + 1])
        begin, stop = (x + (edge - left) / canvas.scale_x for edge in (start, end))
        boxes.append(CharacterBox(character, begin, y, stop, y + lettering.height))
        start = end
    return boxes


def _ink(rng: random.Random, under: Sequence[Rgb], clean: bool) -> tuple[str, Rgb]:
    readable = [
        colour
        for colour in COLOURS
        if min(abs(luminance(PAINT[colour]) - luminance(rgb)) for rgb in under) > 75
        and min(contrast(PAINT[colour], rgb) for rgb in under) > 150
    ]
    if clean and "black" in readable and rng.random() < 0.5:
        readable = ["black"]
    colour = rng.choice(readable) if readable else "white" if luminance(under[0]) < 128 else "black"
    return colour, paint(rng, colour, 10)


def _plate(rng: random.Random, canvas: Canvas, box: Box, behind: Sequence[Rgb]) -> tuple[str, Rgb]:
    """Draw the sign under the word; returns its colour."""
    for _ in range(20):
        colour = rng.choice(COLOURS)
        rgb = paint(rng, colour, 16)
        if min(contrast(rgb, other) for other in behind) >= 90:
            break
    corners = canvas.points([(box[0], box[1]), (box[2], box[3])])
    canvas.draw.rounded_rectangle(
        corners,
        rng.choice([0.0, 0.0, 6 * canvas.scale_x]),
        fill=rgb,
        outline=(0, 0, 0) if rng.random() < 0.3 else None,
        width=max(1, int(canvas.scale_x)),
    )
    return colour, rgb


def _companions(
    rng: random.Random, canvas: Canvas, box: Box, backdrop: Backdrop
) -> tuple[Thing, ...]:
    things: list[Thing] = []
    if rng.random() < 0.35:
        for _ in range(rng.choice([1, 1, 2])):
            size = (canvas.width, canvas.height)
            thing = new_thing(rng, size, things, backdrop.rgbs, halves=(12, 20), keep_off=box)
            if thing is not None:
                things.append(thing)
    for thing in things:
        draw_thing(canvas, thing)
    return tuple(things)


def paint_text(
    rng: random.Random,
    size: tuple[int, int],
    faces: Sequence[str],
    clean_share: float = 0.3,
    text: str | None = None,
) -> TextScene:
    """A random picture of a word in one of `faces`, whose letters are 22 pixels wide or more.

    `text` fixes the word (capitals and digits, at most six).
    """
    clean = rng.random() < clean_share
    canvas, backdrop = paint_backdrop(rng, size, clean=clean)
    word = text or random_text(rng, size[0])
    lettering = _fit(rng, canvas, word, rng.choice(faces))
    on_sign = rng.random() < (0.3 if clean else 0.62)
    margin = rng.uniform(5, 14) if on_sign else 3.0
    width, height = lettering.width, lettering.height
    x = rng.uniform(margin + 1, max(margin + 2, size[0] - width - margin - 1))
    y = rng.uniform(margin + 1, max(margin + 2, size[1] - height - margin - 1))
    box = (x - margin, y - margin, x + width + margin, y + height + margin)
    sign_colour, under = None, backdrop.rgbs
    if on_sign:
        sign_colour, sign_rgb = _plate(rng, canvas, box, backdrop.rgbs)
        under = (sign_rgb,)
    text_colour, ink = _ink(rng, under, clean)
    boxes = _print(canvas, lettering, x, y, ink)
    things = _companions(rng, canvas, box, backdrop)
    sign = (box, sign_colour) if sign_colour is not None else None
    labels = patch_labels(size, things, sign, boxes)
    pixels = finish(rng, canvas, clean)
    return TextScene(pixels, word, text_colour, sign_colour, things, backdrop, labels)
