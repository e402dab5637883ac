"""One window of 30 seconds: what to write down of it, and the text that came of it.

A text that repeats itself, or that the model was not sure of, is written again at a higher
temperature, as the authors do (openai/whisper, whisper/transcribe.py, `decode_with_fallback`).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sensorium.serving.speech.features import Spectrum

__all__ = ["LADDER", "SpeechEngine", "Task", "Window", "Written", "write_window"]

# Temperatures tried in turn.
LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_MOST_COMPRESSIBLE = 2.4
_LEAST_SURE = -1.0
_SILENCE = 0.6
# Less sure than this is nonsense, while of people who repeat themselves the model is sure.
_NONSENSE = -1.5


@dataclass(frozen=True)
class Window:
    """Sound of at most 30 s: frames `seek` to `seek + frames` of the recording.

    `number` is unique among all windows of the server; the engine remembers encodings by it.
    What begins before the frame `until` of the window must be written even where it is not brought
    to an end, so that no later window need begin with it; 0 leaves that to the model.
    """

    number: int
    mel: Spectrum
    seek: int
    frames: int
    until: int = 0


@dataclass(frozen=True)
class Task:
    """What is wanted of every window.

    Without `language` the model finds it out, among `among` where any are named.
    """

    task: str = "transcribe"
    language: str | None = None
    among: tuple[str, ...] = ()
    temperatures: tuple[float, ...] = LADDER
    seed: int = 0


@dataclass(frozen=True)
class Written:
    """What the model wrote for a window.

    `tokens` are text and timestamps without the end, `logprobs` one for each; `average` counts the
    end as well. `no_speech` is the probability that nobody speaks. Not `finished`: the model would
    have written on, but for the limit on a text.
    """

    tokens: list[int]
    logprobs: list[float]
    average: float
    no_speech: float
    language: str
    temperature: float
    prompt_tokens: int
    compression: float = 1.0
    finished: bool = True

    @property
    def silent(self) -> bool:
        """Whether there is nothing to write down: probably silence, and an unsure text."""
        return self.no_speech > _SILENCE and self.average <= _LEAST_SURE

    def doubtful(self) -> bool:
        """Whether to try again at a higher temperature."""
        unsure = self.average < _LEAST_SURE
        if unsure and self.no_speech > _SILENCE:
            return False
        return unsure or self.compression > _MOST_COMPRESSIBLE


class SpeechEngine(Protocol):
    """What writes tokens for windows, and tells where in the sound they were heard."""

    async def write(
        self, window: Window, task: Task, before: list[int], temperature: float
    ) -> Written:
        """Tokens for a window; `before` are tokens of the text before it."""

    async def attention(
        self, window: Window, tokens: Sequence[int]
    ) -> tuple[Spectrum, Sequence[float]]:
        """Attention scores [heads, tokens, steps] of a decoder input, and the probabilities of its
        tokens after the first."""

    def text(self, tokens: Sequence[int]) -> str:
        """The text of tokens."""


async def write_window(
    engine: SpeechEngine, window: Window, task: Task, before: list[int]
) -> Written:
    """The first text that passes the checks; where none does, the one the model was surest of.

    The authors take the last one tried, which at a temperature of 1 is often not what was said;
    the choice among failures is SYSTRAN/faster-whisper's (faster_whisper/transcribe.py), but that
    nonsense is not preferred to a text that repeats itself.
    """
    tried: list[Written] = []
    for temperature in task.temperatures:
        written = await engine.write(window, task, before, temperature)
        ratio = compression_ratio(engine.text(written.tokens).strip())
        written = replace(written, compression=ratio)
        if not written.doubtful():
            return written
        tried.append(written)
    plain = [
        written
        for written in tried
        if written.compression <= _MOST_COMPRESSIBLE and written.average > _NONSENSE
    ]
    return max(plain or tried, key=lambda written: written.average)


def compression_ratio(text: str) -> float:
    """Bytes of a text over bytes of it compressed; above 2.4 it repeats itself."""
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw))
