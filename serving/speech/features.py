"""Log-mel spectra as the authors compute them, a window at a time, from 16 kHz samples.

The authors transform a whole recording and cut windows out of it, so that a window's brightness
depends on the loudest moment of the recording. Here the loudest moment is found in one pass, and
each window is then computed by itself: memory does not grow with the recording.

Source: openai/whisper, whisper/audio.py (`log_mel_spectrogram`, `pad_or_trim`); the authors' table
of filters was made by librosa, on Slaney's mel scale.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FRAMES_PER_SECOND",
    "FRAMES_PER_STEP",
    "HOP",
    "RATE",
    "WINDOW_FRAMES",
    "LogMel",
    "Samples",
    "Spectrum",
    "frames_of",
]

RATE = 16_000
HOP = 160
FRAMES_PER_SECOND = RATE // HOP
WINDOW_FRAMES = 3_000
FRAMES_PER_STEP = 2  # the encoder's, and of timestamps
_SIZE = 400
_EDGE = _SIZE // 2
_BLOCK = 6_000  # frames transformed at once while looking for the loudest

Spectrum = NDArray[np.float32]


class Samples(Protocol):
    """16-bit samples, an array or what reads them where a slice is taken."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> NDArray[np.int16]: ...


def frames_of(samples: Samples) -> int:
    """Spectrum frames (10 ms each) of a recording."""
    return len(samples) // HOP


class LogMel:
    """The spectrum of a recording, computed where it is asked for.

    `loudest` is the highest log10 mel power of the recording, which sets how dark the darkest shown
    is.
    """

    def __init__(self, samples: Samples, bins: int) -> None:
        self.samples = samples
        self._filters = mel_filters(bins)
        self.frames = frames_of(samples)
        self.bins = bins
        self.loudest = -10.0
        for first in range(0, self.frames, _BLOCK):
            power = self._power(first, min(first + _BLOCK, self.frames))
            self.loudest = max(self.loudest, float(power.max(initial=-10.0)))

    def window(self, first: int, count: int) -> Spectrum:
        """Frames `first` to `first + count`, filled up with zeros to [bins, 3000]."""
        out = np.zeros((self.bins, WINDOW_FRAMES), np.float32)
        count = min(count, WINDOW_FRAMES, self.frames - first)
        if count > 0:
            log = np.maximum(self._power(first, first + count), np.float32(self.loudest - 8.0))
            out[:, :count] = (log + np.float32(4.0)) / np.float32(4.0)
        return out

    def _power(self, first: int, end: int) -> Spectrum:
        """log10 of the mel power of frames `first` to `end`, [bins, end - first]."""
        sound = self._surroundings(first * HOP - _EDGE, (end - 1) * HOP + _EDGE)
        frames = np.lib.stride_tricks.sliding_window_view(sound, _SIZE)[::HOP]
        spectrum = np.fft.rfft(frames * _hann())
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        mel = self._filters @ power.T
        log: Spectrum = np.log10(np.maximum(mel, np.float32(1e-10)))
        return log

    def _surroundings(self, first: int, end: int) -> NDArray[np.float32]:
        """Samples `first` to `end` as floats, mirrored before the start, silent after the end."""
        last = len(self.samples)
        inside = self.samples[max(first, 0) : min(end, last)].astype(np.float32) / 32768.0
        before: NDArray[np.float32] = np.zeros(0, np.float32)
        if first < 0:
            mirror = self.samples[1 : 1 - first].astype(np.float32) / 32768.0
            before = np.zeros(-first, np.float32)
            before[len(before) - len(mirror) :] = mirror[::-1]
        after = np.zeros(max(0, end - max(last, first)), np.float32)
        return np.concatenate([before, inside, after])


@lru_cache(1)
def _hann() -> NDArray[np.float32]:
    return np.hanning(_SIZE + 1)[:-1].astype(np.float32)


@lru_cache(4)
def mel_filters(bins: int) -> NDArray[np.float32]:
    """Triangular filters [bins, 201] over 0 to 8 kHz on Slaney's scale, each of area one."""
    edges = _hertz(np.linspace(0.0, _mel(RATE / 2), bins + 2))
    frequencies = np.fft.rfftfreq(_SIZE, 1 / RATE)
    width = np.diff(edges)
    slopes = edges[:, None] - frequencies[None, :]
    rising = -slopes[:-2] / width[:-1, None]
    falling = slopes[2:] / width[1:, None]
    filters = np.maximum(0.0, np.minimum(rising, falling))
    area = (2.0 / (edges[2:] - edges[:-2]))[:, None]
    out: NDArray[np.float32] = (filters * area).astype(np.float32)
    return out


# Slaney's scale: linear up to 1 kHz, then 27 steps to each factor of 6.4.
_STEP = 200.0 / 3
_KNEE = 1000.0 / _STEP
_LOG_STEP = np.log(6.4) / 27.0


def _mel(hertz: float) -> float:
    return float(_KNEE + np.log(hertz / 1000.0) / _LOG_STEP)


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    above = 1000.0 * np.exp(_LOG_STEP * (mels - _KNEE))
    hertz: NDArray[np.float64] = np.where(mels < _KNEE, mels * _STEP, above)
    return hertz
