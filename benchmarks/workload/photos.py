"""Pictures with the statistics of photographs, made from a seed.

The amplitude of natural images falls as one over the frequency (Field 1987). Octaves of smooth
noise with nearly halving amplitude have that spectrum, and compress like photographs, where white
noise hardly compresses and flat colours take nearly nothing. A few shapes add the edges that noise
lacks.
"""

from __future__ import annotations

import functools
import io
import random

import numpy as np
from PIL import Image, ImageDraw

from sensorium.benchmarks.workload.media import MediaFile

__all__ = ["FORMATS", "draw_photo", "encode_photo"]

FORMATS = ("jpeg", "png", "webp")
_SCENES = 6
_GRAIN = 4.5


def draw_photo(size: tuple[int, int], seed: str) -> Image.Image:
    """An RGB picture of (width, height) pixels; equal seeds give equal pixels, others do not.

    Each is one of a few scenes, shifted, mirrored, tinted and marked, since drawing a scene anew
    takes longer than encoding it.
    """
    source = random.Random(seed)
    scene = _scene(size, source.randrange(_SCENES))
    width, height = size
    shifted = np.roll(scene, (source.randrange(height), source.randrange(width)), axis=(0, 1))
    if source.random() < 0.5:
        shifted = shifted[:, ::-1]
    tint = np.array([source.uniform(-12, 12) for _ in range(3)], dtype=np.float32)
    pixels = np.clip(shifted.astype(np.float32) + tint, 0, 255).astype(np.uint8)
    picture = Image.fromarray(pixels)
    _mark(picture, source)
    return picture


def _mark(picture: Image.Image, source: random.Random) -> None:
    """A block of 8 x 8 squares, 64 random bits: no two pictures of a run are the same file."""
    draw = ImageDraw.Draw(picture)
    side = max(1, min(picture.size) // 64)
    bits = source.getrandbits(64)
    for place in range(64):
        x, y = (place % 8) * side, (place // 8) * side
        shade = 230 if bits >> place & 1 else 30
        draw.rectangle([x, y, x + side - 1, y + side - 1], fill=(shade, shade, shade))


@functools.lru_cache(maxsize=64)
def _scene(size: tuple[int, int], number: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A scene of shape (height, width, 3)."""
    width, height = size
    generator = np.random.default_rng([width, height, number])
    total = np.zeros((height, width, 3), dtype=np.float32)
    cells, amplitude = 2, 70.0
    while cells < 2 * max(size):
        rows = max(2, cells * height // max(size))
        columns = max(2, cells * width // max(size))
        total += _octave(generator, (rows, columns), size, amplitude)
        cells, amplitude = cells * 2, amplitude / 1.65
    total += generator.normal(0, _GRAIN, total.shape).astype(np.float32)
    picture = Image.fromarray(np.clip(total + 120, 0, 255).astype(np.uint8))
    _shapes(picture, random.Random(number))
    return np.asarray(picture)


def _octave(
    generator: np.random.Generator, cells: tuple[int, int], size: tuple[int, int], amplitude: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Noise on a grid of cells, enlarged; brightness varies more than colour, as outdoors."""
    brightness = generator.normal(0, 1, (*cells, 1))
    colour = generator.normal(0, 0.35, (*cells, 3))
    grid = (amplitude * (brightness + colour)).astype(np.float32)
    planes = [
        Image.fromarray(grid[..., plane]).resize(size, Image.Resampling.BICUBIC)
        for plane in range(3)
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)


def _shapes(picture: Image.Image, source: random.Random) -> None:
    draw = ImageDraw.Draw(picture, "RGBA")
    width, height = picture.size
    for _ in range(8):
        x, y = source.uniform(0, width), source.uniform(0, height)
        radius = source.uniform(0.03, 0.2) * min(picture.size)
        colour = tuple(source.randrange(256) for _ in range(3))
        shape = draw.ellipse if source.random() < 0.5 else draw.rectangle
        shape([x - radius, y - radius, x + radius, y + radius], fill=(*colour, 110))


def encode_photo(picture: Image.Image, kind: str, quality: int = 90) -> MediaFile:
    """The picture as a file of one of `FORMATS`; PNG has no quality, but takes a fast level."""
    file = io.BytesIO()
    if kind == "png":
        picture.save(file, "PNG", compress_level=1)
    else:
        picture.save(file, kind.upper(), quality=quality)
    width, height = picture.size
    return MediaFile("image", kind, file.getvalue(), width * height / 1e6, f"{width}x{height}")
