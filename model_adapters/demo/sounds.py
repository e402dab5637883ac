"""Simple sounds: beeps, tones, sweeps, noise and silence, with the truth about them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

import numpy as np

from sensorium.model_adapters.demo.signals import RATE, Signal

__all__ = ["MOST_BEEPS", "Sound", "random_sound"]

MOST_BEEPS: Final = 6
HIGH: Final = (1300.0, 2600.0)
KINDS: Final = {"beeps": 4, "sweep": 2, "noise": 1, "silence": 1, "tone": 2}


@dataclass(frozen=True)
class Sound:
    """A signal and what it is.

    `kind` is a key of KINDS; `pitch` is "high" or "low" for beeps and tones, "rising" or "falling"
    for sweeps, None otherwise; `count` is the number of beeps, else 0.
    """

    signal: Signal
    kind: str
    pitch: str | None = None
    count: int = 0


def _tone(first: float, seconds: float, last: float | None = None, overtones: float = 0) -> Signal:
    time = np.arange(int(seconds * RATE)) / RATE
    end = first if last is None else last
    phase = 2 * np.pi * (first * time + (end - first) * time * time / (2 * seconds))
    wave = np.sin(phase) + overtones * np.sin(2 * phase) + overtones / 2 * np.sin(3 * phase)
    edges = np.minimum(1, np.minimum(time, seconds - time) / 0.01)
    tone: Signal = (wave * edges).astype(np.float32)
    return tone


def _pause(seconds: float) -> Signal:
    return np.zeros(int(seconds * RATE), np.float32)


def _beeps(rng: random.Random, count: int | None = None) -> Sound:
    count = count or rng.randint(1, MOST_BEEPS)
    high = rng.random() < 0.5
    hertz = rng.uniform(*HIGH) if high else rng.uniform(220, 520)
    length, gap, overtones = rng.uniform(0.07, 0.16), rng.uniform(0.12, 0.26), rng.uniform(0, 0.5)
    beep = np.concatenate([_tone(hertz, length, overtones=overtones), _pause(gap)])
    return Sound(np.tile(beep, count), "beeps", "high" if high else "low", count)


def _steady(rng: random.Random) -> Sound:
    high = rng.random() < 0.5
    hertz = rng.uniform(*HIGH) if high else rng.uniform(160, 520)
    wave = _tone(hertz, rng.uniform(0.8, 2.0), overtones=rng.uniform(0, 0.5))
    return Sound(wave, "tone", "high" if high else "low")


def _sweep(rng: random.Random) -> Sound:
    low, high, rising = rng.uniform(200, 600), rng.uniform(1200, 3000), rng.random() < 0.5
    first, last = (low, high) if rising else (high, low)
    wave = _tone(first, rng.uniform(0.7, 2.0), last, rng.uniform(0, 0.3))
    return Sound(wave, "sweep", "rising" if rising else "falling")


def _hiss(rng: random.Random) -> Sound:
    noise = np.random.default_rng(rng.getrandbits(32))
    wave = noise.standard_normal(int(rng.uniform(0.8, 2.0) * RATE), np.float32) * np.float32(0.3)
    if rng.random() < 0.5:
        wave = np.convolve(wave, np.ones(4) / 4, "same").astype(np.float32)
    return Sound(wave, "noise")


def random_sound(rng: random.Random, kind: str | None = None, count: int | None = None) -> Sound:
    """A random sound with room noise; `kind` fixes its kind, `count` the number of beeps."""
    kind = kind or rng.choices(list(KINDS), list(KINDS.values()))[0]
    if kind == "beeps":
        sound = _beeps(rng, count)
    elif kind == "silence":
        sound = Sound(_pause(rng.uniform(0.8, 2.0)), "silence")
    else:
        sound = {"tone": _steady, "sweep": _sweep, "noise": _hiss}[kind](rng)
    before, after = _pause(rng.uniform(0.02, 0.25)), _pause(rng.uniform(0.02, 0.25))
    signal = np.concatenate([before, sound.signal * np.float32(rng.uniform(0.15, 0.7)), after])
    room = np.random.default_rng(rng.getrandbits(32)).standard_normal(len(signal), np.float32)
    level = 10 ** rng.uniform(-4.5, -2.3) * (0.3 if kind == "silence" else 1.0)
    heard = np.clip(signal + room * np.float32(level), -1, 1).astype(np.float32)
    return Sound(heard, sound.kind, sound.pitch, sound.count)
