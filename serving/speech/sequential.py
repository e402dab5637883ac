"""A recording written down window after window, as the authors do it.

Each window begins where the model closed its last segment in the one before, and is given the text
before it as its context. Source: openai/whisper, whisper/transcribe.py (`transcribe`).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from sensorium.serving.speech.features import FRAMES_PER_SECOND, WINDOW_FRAMES, LogMel
from sensorium.serving.speech.loudness import steady
from sensorium.serving.speech.segments import Cut, Segment, clear_empty, cut
from sensorium.serving.speech.whisper import Whisper
from sensorium.serving.speech.window import SpeechEngine, Task, Window, write_window
from sensorium.serving.speech.words import WordTimer

__all__ = ["Wanted", "Writer"]

# Above this temperature a text is no good example for the next window.
_WILD = 0.5
# Frames at the end of a piece that are not worth a window of their own where they are quiet.
_REMNANT = FRAMES_PER_SECOND
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a recording.

    `prompt` are tokens to begin with, `context` says whether each window is given the text before
    it, `words` whether words get times.
    """

    task: Task
    prompt: tuple[int, ...] = ()
    context: bool = True
    words: bool = False


class Writer:
    """Writes down stretches of one recording."""

    def __init__(self, engine: SpeechEngine, whisper: Whisper, sound: LogMel) -> None:
        self._engine = engine
        self._whisper = whisper
        self._sound = sound

    async def write(
        self, wanted: Wanted, first: int, end: int, until: int = 0
    ) -> AsyncIterator[list[Segment]]:
        """The segments of frames `first` to `end`, as each window is done.

        Segments without text are left out. Where no language is given, that of the first window is
        kept for all. With `until`, a frame from which on nobody begins to speak, all is written
        in one window where it fits into one.
        """
        task, before, fresh = wanted.task, list(wanted.prompt), 0
        seek, last_speech = first, first / FRAMES_PER_SECOND
        while seek < end:
            frames = min(WINDOW_FRAMES, end - seek)
            if steady(self._sound.samples, seek, seek + frames):
                seek += frames
                continue
            window = await self._window(seek, frames, until)
            written = await write_window(self._engine, window, task, before[fresh:])
            task = replace(task, language=written.language)
            if written.silent:
                seek += window.frames
                continue
            found = cut(window, written, self._whisper.vocabulary)
            advance = found.advance
            if wanted.words:
                last_speech = await self._timer(task).add(found.segments, window, last_speech)
                advance = _after_words(found, window, advance)
            clear_empty(found.segments)
            before += [token for segment in found.segments for token in segment.tokens]
            if not wanted.context or written.temperature > _WILD:
                fresh = len(before)
            seek += advance if advance > 0 else window.frames
            if seek >= until > 0 and end - seek < _REMNANT:
                seek = end
            yield [segment for segment in found.segments if segment.text]

    def _timer(self, task: Task) -> WordTimer:
        return WordTimer(self._engine, self._whisper, task.task)

    async def _window(self, seek: int, frames: int, until: int) -> Window:
        mel = await asyncio.to_thread(self._sound.window, seek, frames)
        return Window(next(_NUMBERS), mel, seek, frames, max(0, until - seek))


def _after_words(found: Cut, window: Window, advance: int) -> int:
    """Begin the next window where the last word ended, which is more exact than a timestamp."""
    if found.closed:
        return advance
    ends = [word.end for segment in found.segments for word in segment.words]
    last = ends[-1] if ends else found.segments[-1].end
    if last > window.seek / FRAMES_PER_SECOND:
        return round(last * FRAMES_PER_SECOND) - window.seek
    return advance
