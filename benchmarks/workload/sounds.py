"""Sounds with the shape of speech, made from a seed.

Syllables of a pulsed voice through three gliding formants, with pauses: enough to keep a voice
detector and a compressor as busy as speech does. There are no words in it.
"""

from __future__ import annotations

import io

import numpy as np
import soundfile

from sensorium.benchmarks.workload.media import MediaFile

__all__ = ["SOUND_FORMATS", "make_sound"]

SOUND_FORMATS = ("wav", "flac", "ogg", "mp3")
RATE = 16_000
_SYLLABLE = 0.22


def make_sound(seconds: float, kind: str, seed: int) -> MediaFile:
    """A mono sound of 16 kHz as a file of one of `SOUND_FORMATS`."""
    file = io.BytesIO()
    soundfile.write(file, _speechlike(seconds, seed), RATE, format=kind.upper())
    subtype = "mpeg" if kind == "mp3" else kind
    return MediaFile("audio", subtype, file.getvalue(), seconds, f"{seconds:g} s")


def _speechlike(seconds: float, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    generator = np.random.default_rng(seed)
    count = round(seconds * RATE)
    syllables = int(seconds / _SYLLABLE) + 2
    places = np.arange(count) / RATE / _SYLLABLE
    spoken = generator.random(syllables) >= 0.2
    loudness = np.where(spoken, generator.uniform(0.4, 1, syllables), 0.0)
    envelope = loudness[places.astype(int)] * np.sin(np.pi * (places % 1)) ** 2
    ends = np.arange(syllables)
    pitch = np.interp(places, ends, generator.uniform(90, 180, syllables))
    phase = np.cumsum(pitch) / RATE
    voice = np.zeros(count)
    for low, high in ((300, 800), (900, 2200), (2300, 3200)):
        formant = np.interp(places, ends, generator.uniform(low, high, syllables))
        harmonic = np.maximum(1, np.round(formant / pitch))
        voice += np.sin(2 * np.pi * phase * harmonic) * (300 / formant) ** 0.5
    noise = generator.normal(0, 0.02, count)
    samples: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = (
        0.25 * envelope * voice + 0.1 * noise
    ).astype(np.float32)
    return samples
