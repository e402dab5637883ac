"""Mixes as people write them: `1280x720:0.7,640x480:0.3`, `jpeg`, `5,20:3`."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sensorium.serving.errors import UserError

__all__ = ["Mix", "parse_frames", "parse_mix", "parse_seconds", "parse_size"]

T = TypeVar("T")
Size = tuple[int, int]


@dataclass(frozen=True)
class Mix(Generic[T]):
    """Values and how often each is drawn, relative to the others."""

    values: tuple[T, ...]
    weights: tuple[float, ...]

    def draw(self, source: random.Random) -> T:
        """One value."""
        return source.choices(self.values, self.weights)[0]


def parse_mix(text: str, option: str, read: Callable[[str], T]) -> Mix[T]:
    """Parse `VALUE[:WEIGHT],...`; `read` raises ValueError, saying what it wants, for a bad value.

    Raises UserError that names the option.
    """
    values, weights = [], []
    for entry in text.split(","):
        value, _, weight = entry.strip().partition(":")
        try:
            values.append(read(value))
            weights.append(float(weight) if weight else 1.0)
        except ValueError as error:
            raise UserError(f"{option} {text}: {entry!r}: {error}") from None
        if weights[-1] <= 0:
            raise UserError(f"{option} {text}: {entry!r}: a share must be above 0")
    return Mix(tuple(values), tuple(weights))


def parse_size(text: str) -> Size:
    """`1280x720` as (width, height) in pixels."""
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise ValueError("write WIDTHxHEIGHT in pixels, as in 1280x720")
    return int(width), int(height)


def parse_seconds(text: str) -> float:
    """A length in seconds."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise ValueError("write seconds, as in 20 or 2.5")
    return seconds


def parse_frames(text: str) -> tuple[int, Size]:
    """`8@640x360` as (frames, (width, height)); the size may be left away."""
    frames, _, size = text.partition("@")
    if not frames.isdigit() or not int(frames):
        raise ValueError("write FRAMES or FRAMES@WIDTHxHEIGHT, as in 8@640x360")
    return int(frames), parse_size(size or "640x360")
