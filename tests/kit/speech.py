"""Recorded speech to test recognisers with, in many formats, and the word error rate.

The recordings are five sentences from LibriVox (public domain) that Debian ships, with their
transcripts, in the package pocketsphinx-testdata: 16 kHz, mono.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")


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


def words(text: str) -> list[str]:
    """Lower-case words without punctuation; "Mr." is read out."""
    plain = re.sub(r"[^a-z']+", " ", text.lower())
    return ["mister" if word == "mr" else word for word in plain.split()]


def word_errors(reference: str, answer: str) -> int:
    """The fewest words to insert, delete or replace to turn one text into the other."""
    wanted, got = words(reference), words(answer)
    row = list(range(len(got) + 1))
    for i, word in enumerate(wanted, start=1):
        previous, row = row, [i]
        for j, other in enumerate(got, start=1):
            replaced = previous[j - 1] + (word != other)
            row.append(min(replaced, previous[j] + 1, row[j - 1] + 1))
    return row[-1]


def word_error_rate(pairs: list[tuple[str, str]]) -> float:
    """Errors per reference word over (reference, answer) pairs."""
    errors = sum(word_errors(reference, answer) for reference, answer in pairs)
    return errors / sum(len(words(reference)) for reference, _ in pairs)


@dataclass(frozen=True)
class Encoding:
    """A sound file format, in PyAV's names. `layout` is "mono" or "stereo"."""

    suffix: str
    codec: str
    rate: int
    layout: str = "mono"
    container: str | None = None

    def __str__(self) -> str:
        return f"{self.suffix}-{self.codec}-{self.rate}-{self.layout}"


def encode(path: Path, encoding: Encoding) -> bytes:
    """A recording in another format, resampled by FFmpeg."""
    import av

    out = io.BytesIO()
    with (
        av.open(str(path)) as source,
        av.open(out, "w", format=encoding.container or encoding.suffix) as target,
    ):
        stream = target.add_stream(encoding.codec, rate=encoding.rate, layout=encoding.layout)
        resampler = av.AudioResampler(stream.format, encoding.layout, encoding.rate)
        fifo = av.AudioFifo()
        for decoded in source.decode(audio=0):
            for frame in resampler.resample(decoded):
                fifo.write(frame)
        for frame in resampler.resample(None):
            fifo.write(frame)
        # Encoders of fixed frame sizes take no other but for the last frame.
        while frame := fifo.read(stream.frame_size or 1024, partial=True):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return out.getvalue()


def vorbis(path: Path) -> bytes:
    """A recording as OGG Vorbis, which PyAV's FFmpeg reads but does not write."""
    import soundfile

    samples, rate = soundfile.read(path, dtype="float32")
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format="OGG", subtype="VORBIS")
    return out.getvalue()


def hum(seconds: float, rate: int = 16000) -> bytes:
    """A mono 16-bit WAV file of a tone that comes and goes, which nobody would take for silence."""
    import soundfile

    time = np.arange(int(seconds * rate)) / rate
    tone = 0.3 * np.sin(2 * np.pi * 300 * time) * (np.sin(2 * np.pi * time) > 0)
    out = io.BytesIO()
    soundfile.write(out, tone, rate, format="WAV", subtype="PCM_16")
    return out.getvalue()


def composed(
    clips: list[Clip], seconds: float, *, seed: int = 0, gap: tuple[float, float] = (0.3, 2.0)
) -> tuple[NDArray[np.int16], list[Clip]]:
    """A recording of at least `seconds` made of clips, and which clips; 16 kHz.

    Between them is silence or faint noise of `gap` seconds; neighbours differ, so that nothing
    repeats itself more than people do.
    """
    import soundfile

    random = np.random.default_rng(seed)
    pieces: list[NDArray[np.int16]] = []
    order: list[Clip] = []
    length = 0
    while length < seconds * 16000:
        others = [clip for clip in clips if clip not in order[-2:]]
        order.append(others[int(random.integers(len(others)))])
        pause = np.zeros(int(random.uniform(*gap) * 16000))
        if random.random() < 0.5:
            pause = 20 * random.standard_normal(len(pause))
        pieces += [soundfile.read(order[-1].path, dtype="int16")[0], pause.astype(np.int16)]
        length += len(pieces[-2]) + len(pieces[-1])
    return np.concatenate(pieces), order


def wav(samples: NDArray[np.int16], rate: int = 16000) -> bytes:
    """Samples as a WAV file."""
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, samples, rate, format="WAV")
    return out.getvalue()


def silence(seconds: float, rate: int = 16000) -> bytes:
    """A mono 16-bit WAV file in which there is nothing."""
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, np.zeros(int(seconds * rate), np.int16), rate, format="WAV")
    return out.getvalue()
