"""From the tokens of a window to segments with times on the recording's clock.

The rules by which a window is cut into segments, and by which the next window's start is found, are
the authors': openai/whisper, whisper/transcribe.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from sensorium.serving.speech.features import FRAMES_PER_SECOND, FRAMES_PER_STEP
from sensorium.serving.speech.vocabulary import Vocabulary
from sensorium.serving.speech.window import Window, Written

__all__ = ["Cut", "Segment", "TimedWord", "clear_empty", "cut"]

_STEP = 0.02


@dataclass(frozen=True)
class TimedWord:
    """A word and when it was said, in seconds from the start of the recording."""

    text: str
    start: float
    end: float
    probability: float
    tokens: tuple[int, ...]


@dataclass
class Segment:
    """A stretch of speech with its text; times in seconds, `seek` in frames of 10 ms."""

    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    logprobs: list[float]
    written: Written
    words: list[TimedWord] = field(default_factory=list)


@dataclass(frozen=True)
class Cut:
    """The segments of a window, and how many frames on the next window begins.

    `closed`: all that is said in the window is in the segments.
    """

    segments: list[Segment]
    advance: int
    closed: bool


def cut(window: Window, written: Written, vocabulary: Vocabulary) -> Cut:
    """Cut a window's tokens where two timestamps meet.

    Where the last segment was not closed it is left to the next window, which begins where it does;
    where nothing was closed the whole window is one segment, so that nothing is lost. In a window
    that is to be the last (`until`) an unclosed segment is kept, unless the text was too long.
    """
    tokens, first = written.tokens, vocabulary.timestamps
    stamped = [token >= first for token in tokens]
    kept_open = window.until > 0 and written.finished and stamped[-1:] == [False]
    closed = kept_open or stamped[-2:] == [False, True]
    ends = [at + 1 for at, pair in enumerate(pairwise(stamped)) if all(pair)]
    if not ends:
        return Cut([_whole(window, written, vocabulary)], window.frames, closed)
    if closed:
        ends.append(len(tokens))
    starts = [0, *ends[:-1]]
    segments = [
        _segment(window, written, vocabulary, start, end)
        for start, end in zip(starts, ends, strict=True)
    ]
    last = (tokens[ends[-1] - 1] - first) * FRAMES_PER_STEP
    return Cut(segments, window.frames if closed else last, closed)


def _segment(
    window: Window, written: Written, vocabulary: Vocabulary, start: int, end: int
) -> Segment:
    tokens = written.tokens[start:end]
    first, close = vocabulary.timestamps, window.frames / FRAMES_PER_SECOND
    if tokens[-1] >= first:
        close = (tokens[-1] - first) * _STEP
    return _make(window, written, vocabulary, ((tokens[0] - first) * _STEP, close), (start, end))


def _whole(window: Window, written: Written, vocabulary: Vocabulary) -> Segment:
    end = window.frames / FRAMES_PER_SECOND
    stamps = [token for token in written.tokens if token >= vocabulary.timestamps]
    if stamps and stamps[-1] != vocabulary.timestamps:
        end = (stamps[-1] - vocabulary.timestamps) * _STEP
    return _make(window, written, vocabulary, (0.0, end), (0, len(written.tokens)))


def _make(
    window: Window,
    written: Written,
    vocabulary: Vocabulary,
    times: tuple[float, float],
    part: tuple[int, int],
) -> Segment:
    offset = window.seek / FRAMES_PER_SECOND
    # The model may name a time after the end of what it was given.
    last = (window.seek + window.frames) / FRAMES_PER_SECOND
    start, end = (min(offset + time, last) for time in times)
    tokens: Sequence[int] = written.tokens[part[0] : part[1]]
    text = vocabulary.decode(tokens)
    return Segment(
        seek=window.seek,
        start=start,
        end=max(start, end),
        text=text,
        tokens=list(tokens),
        logprobs=written.logprobs[part[0] : part[1]],
        written=written,
    )


def clear_empty(segments: list[Segment]) -> None:
    """Take the text from segments that last no time, in place, as the authors do."""
    for segment in segments:
        if segment.start == segment.end or not segment.text.strip():
            segment.text, segment.tokens, segment.logprobs, segment.words = "", [], [], []
