"""Drawing primitives: shapes, colours, backgrounds, and what a camera or a file format does after.

Coordinates are those of the small picture the model sees (a multiple of 32 pixels a side). Drawing
happens on a canvas some times larger, which is then scaled down, as a server does with a real file.
"""

from __future__ import annotations

import io
import math
import random
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

__all__ = [
    "BACKGROUND_COLOURS",
    "COLOURS",
    "PAINT",
    "SHAPES",
    "Backdrop",
    "Canvas",
    "Rgb",
    "Thing",
    "contrast",
    "draw_thing",
    "finish",
    "luminance",
    "paint",
    "paint_backdrop",
]

Rgb = tuple[int, int, int]
Point = tuple[float, float]

PAINT: Final[dict[str, Rgb]] = {
    "red": (214, 39, 40),
    "green": (44, 150, 50),
    "blue": (31, 84, 200),
    "yellow": (245, 220, 50),
    "orange": (250, 130, 20),
    "purple": (130, 50, 180),
    "black": (20, 20, 20),
    "white": (245, 245, 245),
    "grey": (128, 128, 128),
}
NAMED: Final[dict[str, tuple[Rgb, ...]]] = {
    "red": ((255, 0, 0), (220, 20, 60), (200, 0, 0)),
    "green": ((0, 128, 0), (0, 255, 0), (0, 170, 0), (50, 205, 50)),
    "blue": ((0, 0, 255), (30, 144, 255), (65, 105, 225), (0, 0, 160)),
    "yellow": ((255, 255, 0), (255, 215, 0), (250, 230, 0)),
    "orange": ((255, 165, 0), (255, 140, 0), (255, 128, 0)),
    "purple": ((128, 0, 128), (160, 32, 240), (148, 0, 211)),
    "black": ((0, 0, 0), (0, 0, 0), (30, 30, 30)),
    "white": ((255, 255, 255),),
    "grey": ((128, 128, 128), (150, 150, 150)),
}
COLOURS: Final = tuple(name for name in PAINT if name != "grey")
SHAPES: Final = ("circle", "square", "triangle", "star", "heart", "cross")
BACKGROUND_COLOURS: Final = (
    "white", "black", "grey", "blue", "green", "yellow", "purple", "orange", "red",
)  # fmt: skip
COMMON_BACKGROUNDS: Final = ("white", "white", "grey", "black", "blue", "green")


@dataclass(frozen=True)
class Thing:
    """One object: centre (`x`, `y`) and half size in pixels of the small picture, turn in radians.

    `shape` is one of SHAPES, or "sign" for the plate behind a word.
    """

    shape: str
    colour: str
    rgb: Rgb
    x: float
    y: float
    half: float
    turn: float = 0.0
    outlined: bool = False

    def at(self, x: float, y: float) -> Thing:
        """The same object, moved."""
        return replace(self, x=x, y=y)


@dataclass(frozen=True)
class Canvas:
    """A drawing surface that stands for a small picture of `width` x `height` pixels."""

    image: Image.Image
    width: int
    height: int
    scale_x: float
    scale_y: float

    @property
    def draw(self) -> ImageDraw.ImageDraw:
        """A Pillow drawing handle on the surface."""
        return ImageDraw.Draw(self.image)

    def points(self, points: list[Point]) -> list[Point]:
        """Small-picture coordinates to canvas coordinates."""
        return [(x * self.scale_x, y * self.scale_y) for x, y in points]


@dataclass(frozen=True)
class Backdrop:
    """What is behind the objects: in words, its one colour if it has one, and the colours in it."""

    words: str
    colour: str | None
    rgbs: tuple[Rgb, ...]


def paint(rng: random.Random, colour: str, amount: int = 15, named: bool = False) -> Rgb:
    """A random red-green-blue value that people would call `colour`.

    `named` draws from the values a drawing program or CSS gives to the name; otherwise the colour
    of PAINT is varied by up to `amount` a channel.
    """
    if named:
        return rng.choice(NAMED[colour])
    red, green, blue = (
        max(0, min(255, value + rng.randint(-amount, amount))) for value in PAINT[colour]
    )
    return red, green, blue


def luminance(rgb: Rgb) -> float:
    """Perceived brightness, 0 to 255."""
    return 0.3 * rgb[0] + 0.59 * rgb[1] + 0.11 * rgb[2]


def contrast(one: Rgb, other: Rgb) -> int:
    """Sum of the channel differences of two colours, 0 to 765."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


def _ring(thing: Thing, count: int, radii: tuple[float, ...]) -> list[Point]:
    start = -math.pi / 2 + thing.turn
    return [
        (
            thing.x + radii[i % len(radii)] * math.cos(start + 2 * math.pi * i / count),
            thing.y + radii[i % len(radii)] * math.sin(start + 2 * math.pi * i / count),
        )
        for i in range(count)
    ]


def _local_outline(shape: str, half: float) -> list[Point]:
    if shape == "square":
        side = half * 0.88
        return [(-side, -side), (side, -side), (side, side), (-side, side)]
    if shape == "cross":
        arm = half * 0.36
        return [
            (-arm, -half), (arm, -half), (arm, -arm), (half, -arm), (half, arm), (arm, arm),
            (arm, half), (-arm, half), (-arm, arm), (-half, arm), (-half, -arm), (-arm, -arm),
        ]  # fmt: skip
    points = []
    for i in range(30):
        angle = 2 * math.pi * i / 30
        across = 16 * math.sin(angle) ** 3
        down = (
            13 * math.cos(angle)
            - 5 * math.cos(2 * angle)
            - 2 * math.cos(3 * angle)
            - math.cos(4 * angle)
        )
        points.append((half * 1.05 * across / 16, -half * 1.05 * down / 16))
    return points


def _outline(thing: Thing) -> list[Point]:
    if thing.shape == "triangle":
        return _ring(thing, 3, (thing.half * 1.15,))
    if thing.shape == "star":
        return _ring(thing, 10, (thing.half * 1.15, thing.half * 0.48))
    cosine, sine = math.cos(thing.turn), math.sin(thing.turn)
    return [
        (thing.x + x * cosine - y * sine, thing.y + x * sine + y * cosine)
        for x, y in _local_outline(thing.shape, thing.half)
    ]


def draw_thing(canvas: Canvas, thing: Thing, fill: Rgb | int | None = None) -> None:
    """Draw one object; `fill` overrides its colour (a label index on a label canvas)."""
    draw, width = canvas.draw, max(1, int(canvas.scale_x))
    ink = thing.rgb if fill is None else fill
    edge = (0, 0, 0) if sum(thing.rgb) > 200 else (255, 255, 255)
    outlined = thing.outlined and fill is None
    if thing.shape == "circle":
        half = thing.half
        corners = [(thing.x - half, thing.y - half), (thing.x + half, thing.y + half)]
        box = canvas.points(corners)
        draw.ellipse(box, fill=ink)
        if outlined:
            draw.ellipse(box, outline=edge, width=width)
        return
    points = canvas.points(_outline(thing))
    draw.polygon(points, fill=ink)
    if outlined:
        draw.line([*points, points[0]], fill=edge, width=width)


def _blank(rng: random.Random, size: tuple[int, int], clean: bool) -> Canvas:
    scale_x = rng.uniform(1.6, 2.2) if not clean or rng.random() < 0.6 else rng.uniform(2.2, 4.0)
    scale_y = scale_x * rng.uniform(0.88, 1.14)
    pixels = (int(size[0] * scale_x), int(size[1] * scale_y))
    return Canvas(Image.new("RGB", pixels), size[0], size[1], scale_x, scale_y)


def _article(colour: str) -> str:
    return "an" if colour[0] in "aeiou" else "a"


def paint_backdrop(
    rng: random.Random, size: tuple[int, int], plain: bool = False, clean: bool = False
) -> tuple[Canvas, Backdrop]:
    """A fresh canvas and its background: mostly one colour, else a gradient or a pattern.

    `plain` allows one colour only; `clean` also takes the exact colours of drawing programs and
    is most often white.
    """
    canvas = _blank(rng, size, clean)
    if clean:
        name = "white" if rng.random() < 0.7 else rng.choice(BACKGROUND_COLOURS)
        rgb = paint(rng, name, named=True)
        canvas.image.paste(rgb, (0, 0, *canvas.image.size))
        return canvas, Backdrop(f"{_article(name)} {name} background", name, (rgb,))
    name = rng.choice(BACKGROUND_COLOURS if rng.random() < 0.5 else COMMON_BACKGROUNDS)
    rgb = paint(rng, name, 14)
    kind = 0.0 if plain else rng.random()
    if kind < 0.72:
        canvas.image.paste(rgb, (0, 0, *canvas.image.size))
        return canvas, Backdrop(f"{_article(name)} {name} background", name, (rgb,))
    other = paint(rng, rng.choice([n for n in BACKGROUND_COLOURS if n != name]), 14)
    if kind < 0.86:
        return canvas, _gradient(rng, canvas, rgb, other)
    if kind < 0.94:
        near = tuple((2 * a + b) // 3 for a, b in zip(rgb, other, strict=True))
        soft: Rgb = (near[0], near[1], near[2])
        draw = _stripes if kind < 0.91 else _checks
        return canvas, draw(rng, canvas, rgb, soft)
    return canvas, _noise(rng, canvas, rgb) if kind < 0.97 else _landscape(rng, canvas)


def _gradient(rng: random.Random, canvas: Canvas, one: Rgb, other: Rgb) -> Backdrop:
    width, height = canvas.image.size
    down = rng.random() < 0.5
    ramp = np.linspace(0, 1, height if down else width, dtype=np.float32)
    ramp = ramp[:, None, None] if down else ramp[None, :, None]
    pixels = (np.array(one) * (1 - ramp) + np.array(other) * ramp).astype(np.uint8)
    full = np.ascontiguousarray(np.broadcast_to(pixels, (height, width, 3)))
    canvas.image.paste(Image.fromarray(full))
    middle = tuple((a + b) // 2 for a, b in zip(one, other, strict=True))
    return Backdrop("a gradient background", None, (one, other, (middle[0], middle[1], middle[2])))


def _stripes(rng: random.Random, canvas: Canvas, one: Rgb, other: Rgb) -> Backdrop:
    width, height = canvas.image.size
    canvas.image.paste(one, (0, 0, width, height))
    pitch, upright = rng.randint(10, 26) * canvas.scale_x, rng.random() < 0.5
    for start in range(0, width if upright else height, int(2 * pitch)):
        end = start + pitch
        box = (start, 0.0, end, float(height)) if upright else (0.0, start, float(width), end)
        canvas.draw.rectangle(box, fill=other)
    return Backdrop("a striped background", None, (one, other))


def _checks(rng: random.Random, canvas: Canvas, one: Rgb, other: Rgb) -> Backdrop:
    width, height = canvas.image.size
    canvas.image.paste(one, (0, 0, width, height))
    pitch, draw = rng.randint(14, 30) * canvas.scale_x, canvas.draw
    for column in range(int(width / pitch) + 1):
        for row in range(column % 2, int(height / pitch) + 1, 2):
            left, top = column * pitch, row * pitch
            draw.rectangle((left, top, left + pitch, top + pitch), fill=other)
    return Backdrop("a checkered background", None, (one, other))


def _noise(rng: random.Random, canvas: Canvas, rgb: Rgb) -> Backdrop:
    width, height = canvas.image.size
    grains = np.random.default_rng(rng.getrandbits(32)).integers(
        -40, 41, (height // 3 + 1, width // 3 + 1, 1)
    )
    grains = np.repeat(np.repeat(grains, 3, 0), 3, 1)[:height, :width]
    pixels = np.clip(np.array(rgb)[None, None] * 0.8 + 25 + grains, 0, 255).astype(np.uint8)
    canvas.image.paste(Image.fromarray(pixels))
    return Backdrop("a noisy background", None, (rgb,))


def _landscape(rng: random.Random, canvas: Canvas) -> Backdrop:
    width, height = canvas.image.size
    sky, grass = (135, 190, 235), (80, 150, 60)

    def vary(rgb: Rgb, amount: int) -> Rgb:
        varied = [max(0, min(255, value + rng.randint(-amount, amount))) for value in rgb]
        return varied[0], varied[1], varied[2]

    ground = vary(grass, 25)
    canvas.image.paste(vary(sky, 20), (0, 0, width, height))
    canvas.draw.rectangle((0, int(height * rng.uniform(0.5, 0.75)), width, height), fill=ground)
    return Backdrop("a sky and grass background", None, (sky, ground))


def finish(rng: random.Random, canvas: Canvas, clean: bool = False) -> npt.NDArray[np.uint8]:
    """Scale the canvas to the small picture and spoil it as files and cameras do.

    Returns (height, width, 3) 8-bit pixels. `clean` pictures are at most saved as JPEG.
    """
    way = Image.Resampling.BICUBIC if rng.random() < 0.8 else Image.Resampling.BILINEAR
    small = canvas.image.resize((canvas.width, canvas.height), way)
    if rng.random() < 0.18:
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=rng.randint(45, 92))
        small = Image.open(buffer).convert("RGB")
    pixels: npt.NDArray[np.uint8] = np.asarray(small)
    if clean or rng.random() >= 0.3:
        return pixels
    noise = np.random.default_rng(rng.getrandbits(32)).standard_normal((*pixels.shape[:2], 1))
    spoilt = pixels.astype(np.float32) * rng.uniform(0.85, 1.1) + noise * rng.uniform(0, 7)
    return np.clip(spoilt, 0, 255).astype(np.uint8)
