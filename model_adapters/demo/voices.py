"""Spoken words from the programs espeak-ng and flite, with some voices kept for evaluation.

Both are started as programs; nothing is linked. Neither is needed to serve the model.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from sensorium.model_adapters.demo.phrasing import split_words
from sensorium.model_adapters.demo.signals import RATE, Signal, resample

__all__ = [
    "COLOUR_WORDS",
    "COMMANDS",
    "DIGITS",
    "Utterance",
    "VoiceMissingError",
    "load_pool",
    "random_words",
    "save_pool",
    "speak_many",
    "speak_with_flite",
]

DIGITS: Final = split_words("zero one two three four five six seven eight nine")
COMMANDS: Final = split_words(
    "stop go yes no up down left right on off start help hello open close play"
)
COLOUR_WORDS: Final = split_words("red green blue yellow orange purple black white")

ACCENTS: Final = (
    *["en-us"] * 4,
    *["en-gb"] * 3,
    "en-gb-x-rp",
    "en-gb-scotland",
    "en-gb-x-gbclan",
    "en-029",
    "en-gb-x-gbcwmd",
)
VARIANTS: Final = split_words(
    """
    - - m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 klatt klatt2 klatt3 klatt4 Alex Alicia Andrea
    Annie Denis Diogo Gene Henrique Hugo Jacky Lee Mario Michael Mike adam anika antonio aunty
    belinda
    boris caleb ed edward grandma grandpa iven john linda marcelo max miguel norbert pablo paul
    quincy robert shelby steph travis zac"""
)
FLITE: Final = ("slt", "slt", "rms", "rms", "awb", "awb", "kal16")

HELD_OUT_ACCENTS: Final = ("en-us", "en-us", "en-gb", "en-gb-x-rp", "en-us-nyc", "en-us-nyc")
HELD_OUT_VARIANTS: Final = split_words(
    "Andy Marco Nguyen benjamin david edward2 gustave klatt5 michel pedro sandro steph2 victor"
)
HELD_OUT_FLITE: Final = ("kal",)
RANGES: Final = ("x-low", "low", "medium", "high", "x-high")
QUIET: Final = 0.004


class VoiceMissingError(RuntimeError):
    """A speech program is not installed."""


@dataclass(frozen=True)
class Utterance:
    """What is said, its kind ("digits", "command" or "color"), the voice, and 16-bit samples."""

    kind: str
    words: str
    voice: str
    samples: npt.NDArray[np.int16]

    @property
    def signal(self) -> Signal:
        """The samples as a signal between -1 and 1."""
        return self.samples.astype(np.float32) / np.float32(32767)


@dataclass(frozen=True)
class _Line:
    """One thing to say, before it is said: the programs see nothing random."""

    kind: str
    words: str
    program: str
    voice: str
    speed: float
    pitch: float
    range: str


def random_words(rng: random.Random) -> tuple[str, str]:
    """A kind and what is said: one to three digits, a command or a colour."""
    kind = rng.random()
    if kind < 0.45:
        count = rng.choice((1, 1, 2, 3))
        return "digits", " ".join(rng.choice(DIGITS) for _ in range(count))
    if kind < 0.8:
        return "command", rng.choice(COMMANDS)
    return "color", rng.choice(COLOUR_WORDS)


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise VoiceMissingError(f"the program {name} is not on the PATH; apt-get install {name}")
    return path


def _trimmed(signal: Signal) -> npt.NDArray[np.int16]:
    loud = np.nonzero(np.abs(signal) > QUIET)[0]
    if len(loud):
        signal = signal[max(0, loud[0] - 400) : loud[-1] + 800]
    peak = max(float(np.abs(signal).max(initial=0.0)), 1e-3)
    return (signal / peak * 0.7 * 32767).astype(np.int16)


def _espeak(line: _Line) -> npt.NDArray[np.int16]:
    command = [_program("espeak-ng"), "--stdout", "-v", line.voice, "-s", f"{line.speed:.0f}"]
    # The program has no option for the pitch range, but it reads SSML.
    command += ["-p", f"{line.pitch:.0f}", "-m"]
    command.append(f'<prosody range="{line.range}">{line.words}</prosody>')
    wave = subprocess.run(command, check=True, capture_output=True).stdout
    if len(wave) < 1000:
        raise VoiceMissingError(f"espeak-ng does not know the voice {line.voice}; use 1.51")
    rate = int.from_bytes(wave[24:28], "little")
    body = wave[44 : 44 + (len(wave) - 44) // 2 * 2]
    samples = np.frombuffer(body, "<i2").astype(np.float32) / np.float32(32768)
    return _trimmed(resample(samples, rate, RATE))


def _read_wave(path: Path) -> tuple[Signal, int]:
    import wave

    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples.astype(np.float32) / np.float32(32768), file.getframerate()


def speak_with_flite(words: str, voice: str, stretch: float, pitch: float | None) -> Signal:
    """What flite says, trimmed and levelled.

    `stretch` above 1 is slower, `pitch` is the mean in hertz or None for the voice's own.
    Raises VoiceMissingError where flite is not installed.
    """
    command = [_program("flite"), "-voice", voice, "--setf", f"duration_stretch={stretch:.2f}"]
    if pitch is not None:
        command += ["--setf", f"int_f0_target_mean={pitch:.0f}"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        subprocess.run(
            [*command, "-t", words, "-o", str(path)], check=True, stdout=subprocess.DEVNULL
        )
        signal, rate = _read_wave(path)
    return _trimmed(resample(signal, rate, RATE)).astype(np.float32) / np.float32(32767)


def _flite(line: _Line) -> npt.NDArray[np.int16]:
    pitch = line.pitch if line.pitch else None
    signal = speak_with_flite(line.words, line.voice, line.speed, pitch)
    return (signal * np.float32(32767)).astype(np.int16)


def _espeak_line(rng: random.Random, accents: Sequence[str], variants: Sequence[str]) -> _Line:
    kind, words = random_words(rng)
    accent, variant = rng.choice(accents), rng.choice(variants)
    voice = accent if variant == "-" else f"{accent}+{variant}"
    speed, pitch, span = rng.randint(115, 210), rng.randint(15, 85), rng.choice(RANGES)
    return _Line(kind, words, "espeak-ng", voice, speed, pitch, span)


def _flite_line(rng: random.Random, voices: Sequence[str]) -> _Line:
    kind, words = random_words(rng)
    voice, stretch = rng.choice(voices), rng.uniform(0.8, 1.3)
    mean = rng.uniform(140, 230) if voice == "slt" else rng.uniform(85, 150)
    return _Line(kind, words, "flite", voice, stretch, mean if rng.random() < 0.7 else 0.0, "")


def speak_many(
    seed: int, espeak: int, flite: int, held_out: bool = False, workers: int = 1
) -> list[Utterance]:
    """`espeak` + `flite` random utterances; with `held_out`, only in voices kept from training.

    The same seed gives the same utterances whatever the number of workers. Raises
    VoiceMissingError where a program that is needed is not installed.
    """
    rng = random.Random(seed)
    accents, variants = (HELD_OUT_ACCENTS, HELD_OUT_VARIANTS) if held_out else (ACCENTS, VARIANTS)
    lines = [_espeak_line(rng, accents, variants) for _ in range(espeak)]
    lines += [_flite_line(rng, HELD_OUT_FLITE if held_out else FLITE) for _ in range(flite)]

    def speak(line: _Line) -> Utterance:
        say = _espeak if line.program == "espeak-ng" else _flite
        return Utterance(line.kind, line.words, f"{line.program}:{line.voice}", say(line))

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(speak, lines))


def save_pool(path: Path, pool: Sequence[Utterance]) -> None:
    """Keep utterances in one .npz file."""
    labels = np.array([(u.kind, u.words, u.voice) for u in pool])
    lengths = np.array([len(u.samples) for u in pool])
    with path.open("wb") as file:
        samples = np.concatenate([u.samples for u in pool])
        np.savez(file, labels=labels, lengths=lengths, samples=samples)


def load_pool(path: Path) -> list[Utterance]:
    """Utterances written by `save_pool`."""
    with np.load(path) as file:
        parts = np.split(file["samples"], np.cumsum(file["lengths"])[:-1])
        return [
            Utterance(str(kind), str(words), str(voice), samples)
            for (kind, words, voice), samples in zip(file["labels"], parts, strict=True)
        ]
