"""Sound signals as arrays: resampling, recording conditions, and log-mel features.

Signals are float32 at 16,000 samples a second unless said otherwise.
"""

from __future__ import annotations

import math
import random
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

__all__ = ["MEL_BINS", "RATE", "Signal", "audio_tokens", "log_mel", "record", "resample"]

Signal = npt.NDArray[np.float32]

RATE: Final = 16_000
MEL_BINS: Final = 64
WINDOW, HOP = 400, 160
CHUNK_FRAMES: Final = 100
CHUNK_TOKENS: Final = 13
SPEEDS: Final = (0.87, 0.91, 0.95, 1.05, 1.10, 1.15)


def resample(signal: Signal, old_rate: float, new_rate: float) -> Signal:
    """The band-limited signal at another rate, by cutting or padding its spectrum."""
    count = round(len(signal) * new_rate / old_rate)
    if count == len(signal) or not len(signal):
        return signal
    spectrum = np.fft.rfft(signal)
    size = count // 2 + 1
    kept = np.zeros(size, np.complex128)
    kept[: min(size, len(spectrum))] = spectrum[:size]
    return (np.fft.irfft(kept, count) * (count / len(signal))).astype(np.float32)


def _silence(rng: random.Random) -> Signal:
    return np.zeros(int(rng.uniform(0.02, 0.35) * RATE), np.float32)


def record(rng: random.Random, signal: Signal) -> Signal:
    """The signal as another room and microphone would have it.

    Changes speed and pitch together by up to 15 %, adds silence at both ends, a tilt of the
    spectrum, a telephone's narrow band, one echo, gain and white noise, each only sometimes.
    """
    heard = signal
    if rng.random() < 0.6:
        heard = resample(heard, RATE, RATE * rng.choice(SPEEDS))
    heard = np.concatenate([_silence(rng), heard, _silence(rng)])
    if rng.random() < 0.3:
        tilt = np.float32(rng.uniform(-0.5, 0.5))
        heard = heard + tilt * np.concatenate([np.zeros(1, np.float32), heard[:-1]])
    if rng.random() < 0.2:
        narrow = rng.uniform(7000, 11_000)
        heard = resample(resample(heard, RATE, narrow), narrow, RATE)
    if rng.random() < 0.2:
        delay = int(rng.uniform(0.01, 0.04) * RATE)
        echo = np.zeros_like(heard)
        echo[delay:] = heard[:-delay] * rng.uniform(0.2, 0.5)
        heard = heard + echo
    heard = heard * np.float32(10 ** rng.uniform(-1.1, 0))
    if rng.random() < 0.75:
        noise = np.random.default_rng(rng.getrandbits(32)).standard_normal(len(heard), np.float32)
        level = np.abs(heard).max() * 10 ** rng.uniform(-3.2, -1.2)
        heard = heard + noise * np.float32(level)
    return np.clip(heard, -1, 1).astype(np.float32)


def _hertz_to_mel(hertz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    step = 27.0 / math.log(6.4)
    low = hertz * 3.0 / 200.0
    high = 15.0 + np.log(np.maximum(hertz, 1e-9) / 1000.0) * step
    return np.where(hertz >= 1000.0, high, low)


def _mel_to_hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    step = math.log(6.4) / 27.0
    return np.where(mel >= 15.0, 1000.0 * np.exp(step * (mel - 15.0)), mel * 200.0 / 3.0)


@lru_cache(maxsize=1)
def mel_filters() -> npt.NDArray[np.float32]:
    """Slaney's triangular filters, (201 frequencies, MEL_BINS), as Whisper's features use them."""
    edges = _hertz_to_mel(np.array([0.0, RATE / 2]))
    centres = _mel_to_hertz(np.linspace(edges[0], edges[1], MEL_BINS + 2))
    frequencies = np.linspace(0, RATE / 2, WINDOW // 2 + 1)
    widths = np.diff(centres)
    slopes = centres[None] - frequencies[:, None]
    rising, falling = -slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    filters: npt.NDArray[np.float32] = triangles * (2.0 / (centres[2:] - centres[:-2]))
    return filters.astype(np.float32)


def log_mel(signal: Signal) -> torch.Tensor:
    """Whisper's log-mel features of a signal, (MEL_BINS, one frame for each 10 ms begun)."""
    import torch
    from torch.nn import functional

    frames = -(-len(signal) // HOP)
    padded = functional.pad(torch.from_numpy(signal), (0, frames * HOP - len(signal) + 2 * WINDOW))
    spectrum = torch.stft(
        padded, WINDOW, HOP, window=torch.hann_window(WINDOW), return_complex=True
    )
    power = spectrum[:, :frames].abs() ** 2
    mel = torch.clamp(torch.from_numpy(mel_filters()).T @ power, min=1e-10).log10()
    return (torch.maximum(mel, mel.max() - 8) + 4) / 4


def audio_tokens(frames: int) -> int:
    """Tokens that the audio tower makes of `frames` mel frames: 13 a second, rounded up."""
    rest = frames % CHUNK_FRAMES
    for _ in range(3):
        rest = (rest + 1) // 2
    return rest + frames // CHUNK_FRAMES * CHUNK_TOKENS
