"""Four-second clips, eight frames, of one shape that moves, changes or stays as it is."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from sensorium.model_adapters.demo.drawing import (
    COLOURS,
    Backdrop,
    Canvas,
    Rgb,
    Thing,
    contrast,
    draw_thing,
    paint,
    paint_backdrop,
)
from sensorium.model_adapters.demo.scenes import MIN_CONTRAST, new_thing

__all__ = ["CLIP_SIZES", "DIRECTIONS", "FRAMES", "Clip", "render_clip"]

FRAMES: Final = 8
"""Frames the model sees of a clip: two a second for four seconds."""

CLIP_SIZES: Final = ((224, 128), (224, 128), (224, 128), (192, 128), (160, 160))
DIRECTIONS: Final = {"right": (1, 0), "left": (-1, 0), "up": (0, -1), "down": (0, 1)}
EVENTS: Final = {
    "move": 0.5,
    "color": 0.12,
    "grow": 0.08,
    "shrink": 0.08,
    "appear": 0.07,
    "disappear": 0.07,
    "still": 0.08,
}


@dataclass(frozen=True)
class Clip:
    """`frames` (count, height, width, 3) of 8 bits, and what happens in them.

    `event` is a key of EVENTS, `direction` one of DIRECTIONS for "move", `new_colour` the colour
    after "color", `bystander` a second shape that does nothing.
    """

    frames: npt.NDArray[np.uint8]
    event: str
    thing: Thing
    direction: str | None
    new_colour: str | None
    bystander: Thing | None
    backdrop: Backdrop


@dataclass(frozen=True)
class _Path:
    start: tuple[float, float]
    end: tuple[float, float]

    def at(self, share: float) -> tuple[float, float]:
        (x0, y0), (x1, y1) = self.start, self.end
        return x0 + (x1 - x0) * share, y0 + (y1 - y0) * share


def _path(
    rng: random.Random, size: tuple[int, int], thing: Thing, direction: str | None
) -> _Path | None:
    """Where the shape travels; None when the picture leaves no room for a visible move."""
    if direction is None:
        return _Path((thing.x, thing.y), (thing.x, thing.y))
    along_x, along_y = DIRECTIONS[direction]
    margin = (1.4 if along_x else 1.3) * thing.half
    room = (size[0] if along_x else size[1]) - 2 * margin
    if room < 26:
        return None
    length = rng.uniform(max(24, 0.45 * room), room)
    near = margin + rng.uniform(0, room - length)
    first, last = (near, near + length) if along_x + along_y > 0 else (near + length, near)
    if along_x:
        return _Path((first, thing.y), (last, thing.y))
    return _Path((thing.x, first), (thing.x, last))


def _bystander(
    rng: random.Random, size: tuple[int, int], thing: Thing, path: _Path, backdrop: Backdrop
) -> Thing | None:
    if rng.random() >= 0.3:
        return None
    middle = path.at(0.5)
    reach = max(abs(path.end[0] - path.start[0]), abs(path.end[1] - path.start[1])) / 2
    swept = replace(thing.at(*middle), half=reach + thing.half)
    other = new_thing(rng, size, [swept], backdrop.rgbs, halves=(12, 20))
    if other is None or other.shape == thing.shape or other.colour == thing.colour:
        return None
    return other


def _new_colour(rng: random.Random, thing: Thing, backdrop: Backdrop) -> tuple[str, Rgb] | None:
    for _ in range(30):
        colour = rng.choice([name for name in COLOURS if name != thing.colour])
        rgb = paint(rng, colour)
        seen = min(contrast(rgb, other) for other in backdrop.rgbs) >= MIN_CONTRAST
        if seen and contrast(rgb, thing.rgb) > 120:
            return colour, rgb
    return None


def _state(
    event: str, thing: Thing, path: _Path, switch: float, new_rgb: Rgb | None
) -> Callable[[float], Thing | None]:
    """The shape as a function of the share of the clip that has passed; None while unseen."""

    def at(share: float) -> Thing | None:
        if (event == "appear" and share < switch) or (event == "disappear" and share > switch):
            return None
        now = thing.at(*path.at(share))
        if event == "color" and share > switch and new_rgb is not None:
            return replace(now, rgb=new_rgb)
        if event == "grow":
            return replace(now, half=thing.half * (0.4 + 0.6 * share))
        if event == "shrink":
            return replace(now, half=thing.half * (1 - 0.6 * share))
        return now

    return at


def _film(
    canvas: Canvas,
    frames: int,
    state: Callable[[float], Thing | None],
    bystander: Thing | None,
) -> npt.NDArray[np.uint8]:
    pictures = []
    for index in range(frames):
        cel = replace(canvas, image=canvas.image.copy())
        now = state(index / (frames - 1))
        for thing in (bystander, now):
            if thing is not None:
                draw_thing(cel, thing)
        small = cel.image.resize((canvas.width, canvas.height), Image.Resampling.BILINEAR)
        pictures.append(np.asarray(small))
    return np.stack(pictures)


def render_clip(
    rng: random.Random, size: tuple[int, int], frames: int = FRAMES, event: str | None = None
) -> Clip:
    """A random clip of `size` (width, height) with an even number of `frames`."""
    happening = event or rng.choices(list(EVENTS), list(EVENTS.values()))[0]
    while True:
        clean = rng.random() < 0.25
        canvas, backdrop = paint_backdrop(rng, size, plain=rng.random() < 0.6, clean=clean)
        thing = new_thing(rng, size, (), backdrop.rgbs, halves=(15, 28), clean=clean)
        if thing is None:
            continue
        direction = rng.choice(list(DIRECTIONS)) if happening == "move" else None
        path = _path(rng, size, thing, direction)
        change = _new_colour(rng, thing, backdrop) if happening == "color" else None
        if path is None or (happening == "color" and change is None):
            continue
        bystander = _bystander(rng, size, thing, path, backdrop)
        state = _state(
            happening, thing, path, rng.uniform(0.35, 0.65), change[1] if change else None
        )
        return Clip(
            _film(canvas, frames, state, bystander),
            happening,
            thing,
            direction,
            change[0] if change else None,
            bystander,
            backdrop,
        )
