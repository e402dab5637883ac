"""A speech engine that writes what it is told, for tests of everything around an engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sensorium.serving.speech.features import Spectrum
from sensorium.serving.speech.whisper import Whisper, read_whisper
from sensorium.serving.speech.window import Task, Window, Written
from tests.kit.tiny_whisper import write_tiny_whisper

# A line of a script: text, or seconds of a timestamp.
Line = Sequence[str | float]


def tiny_facts(folder: Path, *, english: bool = False) -> Whisper:
    """What must be known of a tiny Whisper, which is written into `folder`."""
    return read_whisper(write_tiny_whisper(folder, english=english))


def tokens_of(whisper: Whisper, line: Line) -> list[int]:
    """The tokens of a line of a script."""
    tokens: list[int] = []
    for piece in line:
        if isinstance(piece, str):
            tokens += whisper.vocabulary.encode(piece)
        else:
            tokens.append(whisper.vocabulary.timestamps + round(piece * 50))
    return tokens


@dataclass
class Asked:
    """A window that was asked for."""

    seek: int
    frames: int
    before: str
    temperature: float
    language: str | None


@dataclass
class ScriptedSpeech:
    """A `SpeechEngine`: `script` gives the line for a window, or what was written as a whole.

    `broken`, when given, is raised for windows from the frame `breaks_at` on; `gate`, when given,
    holds every window until it is set. `cancelled` counts windows that were given up.
    """

    whisper: Whisper
    script: Callable[[Window, float], Line | Written]
    gate: asyncio.Event | None = None
    asked: list[Asked] = field(default_factory=list)
    cancelled: int = 0
    broken: Exception | None = None
    breaks_at: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    def text(self, tokens: Sequence[int]) -> str:
        """The text of tokens."""
        return self.whisper.vocabulary.decode(tokens)

    async def write(
        self, window: Window, task: Task, before: list[int], temperature: float
    ) -> Written:
        """What the script says."""
        said = self.text(before)
        self.reached.set()
        self.asked.append(Asked(window.seek, window.frames, said, temperature, task.language))
        if self.broken is not None and window.seek >= self.breaks_at:
            raise self.broken
        try:
            if self.gate is not None:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        line = self.script(window, temperature)
        if isinstance(line, Written):
            return line
        return self.written(line, temperature, task.language or "en")

    def written(self, line: Line, temperature: float = 0.0, language: str = "en") -> Written:
        """A line as a sure text."""
        tokens = tokens_of(self.whisper, line)
        return Written(
            tokens=tokens,
            logprobs=[-0.1] * len(tokens),
            average=-0.1,
            no_speech=0.01,
            language=language,
            temperature=temperature,
            prompt_tokens=3,
        )

    async def attention(
        self, window: Window, tokens: Sequence[int]
    ) -> tuple[Spectrum, Sequence[float]]:
        """Each token listens to the sound at its share of the window."""
        steps = window.frames // 2
        scores = np.full((2, len(tokens), steps), -5.0, np.float32)
        for row in range(len(tokens)):
            middle = row * steps // len(tokens)
            scores[:, row, middle : middle + max(1, steps // len(tokens))] = 5.0
        return scores, [0.9] * (len(tokens) - 1)
