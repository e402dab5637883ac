"""Recorded sentences, and recordings of any length composed of them.

The sentences are five from LibriVox (public domain) that Debian ships, with their transcripts, in
the package pocketsphinx-testdata: 16 kHz, mono.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["LIBRIVOX", "Clip", "composed", "librivox_clips", "wav"]

LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")
_RATE = 16_000


@dataclass(frozen=True)
class Clip:
    """A recording and what is said in it."""

    path: Path
    text: str


def librivox_clips() -> list[Clip]:
    """The five recordings, or an empty list where the package is not installed."""
    if not LIBRIVOX.is_dir():
        return []
    clips = []
    for line in (LIBRIVOX / "transcription").read_text("utf-8").splitlines():
        match = re.fullmatch(r"<s> (.+) </s> \((\S+)\)", line)
        if match is None:
            raise ValueError(f"unexpected line in the transcription: {line}")
        # The transcript stutters where the reader does not.
        text = match[1].replace("a more a amiable", "a more amiable")
        clips.append(Clip(LIBRIVOX / f"{match[2]}.wav", text))
    return clips


def composed(
    clips: list[Clip], seconds: float, *, seed: int = 0, gap: tuple[float, float] = (0.3, 2.0)
) -> tuple[NDArray[np.int16], list[Clip]]:
    """A recording of at least `seconds` made of clips, and which clips; 16 kHz.

    Between them is silence or faint noise of `gap` seconds; neighbours differ, so that nothing
    repeats itself more than people do.
    """
    import soundfile

    random = np.random.default_rng(seed)
    sounds = {clip: soundfile.read(clip.path, dtype="int16")[0] for clip in clips}
    pieces: list[NDArray[np.int16]] = []
    order: list[Clip] = []
    length = 0
    while length < seconds * _RATE:
        others = [clip for clip in clips if clip not in order[-2:]]
        order.append(others[int(random.integers(len(others)))])
        pause = np.zeros(int(random.uniform(*gap) * _RATE))
        if random.random() < 0.5:
            pause = 20 * random.standard_normal(len(pause))
        pieces += [sounds[order[-1]], pause.astype(np.int16)]
        length += len(pieces[-2]) + len(pieces[-1])
    return np.concatenate(pieces), order


def wav(samples: NDArray[np.int16], rate: int = _RATE, kind: str = "WAV") -> bytes:
    """Samples as a WAV file, or FLAC."""
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=kind)
    return out.getvalue()
