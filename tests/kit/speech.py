"""Sound files in many formats to test recognisers with."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np


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


def silence(seconds: float, rate: int = 16000) -> bytes:
    """A mono 16-bit WAV file in which there is nothing."""
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, np.zeros(int(seconds * rate), np.int16), rate, format="WAV")
    return out.getvalue()
