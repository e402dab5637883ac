"""When each word was said: a path through the decoder's attention over the sound.

The scores of the heads that follow the sound are smoothed and averaged; dynamic time warping finds
the cheapest way through them, which says at which step of 20 ms each token was heard. Then come the
authors' corrections for words beside pauses. Source: openai/whisper, whisper/timing.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sensorium.serving.speech.features import FRAMES_PER_SECOND, FRAMES_PER_STEP
from sensorium.serving.speech.segments import Segment, TimedWord
from sensorium.serving.speech.whisper import Whisper
from sensorium.serving.speech.window import SpeechEngine, Window

__all__ = ["WordTimer", "align", "warp"]

Scores = NDArray[np.float32]

_STEPS_PER_SECOND = 50
_SMOOTH = 7
_OPENING = "\"'“¿([{-"
_CLOSING = "\"'.。,，!！?？:：”)]}、"
_SENTENCE_ENDS = ".。!！?？"


@dataclass
class _Heard:
    """A word of the window and when it was heard, in seconds from the window's start."""

    text: str
    tokens: tuple[int, ...]
    start: float
    end: float
    probability: float

    @property
    def length(self) -> float:
        return self.end - self.start


class WordTimer:
    """Gives segments their words."""

    def __init__(self, engine: SpeechEngine, whisper: Whisper, task: str) -> None:
        self._engine = engine
        self._whisper = whisper
        self._task = task

    async def add(self, segments: list[Segment], window: Window, last_speech: float) -> float:
        """Give the segments of one window their words, in place, and mend their times by them.

        `last_speech` is when the last word before the window ended; gives it for the next window.
        """
        end = self._whisper.vocabulary.end
        texts = [[token for token in segment.tokens if token < end] for segment in segments]
        tokens = [token for text in texts for token in text]
        if not tokens or window.frames < FRAMES_PER_STEP:
            return last_speech
        heard = await self._hear(tokens, segments[0].written.language, window)
        lengths = [word.length for word in heard if word.length != 0]
        usual = min(0.7, float(np.median(lengths))) if lengths else 0.0
        if lengths:
            _shorten_at_sentence_ends(heard, 2 * usual)
        _join_punctuation(heard)
        offset, position = window.seek / FRAMES_PER_SECOND, 0
        for segment, text in zip(segments, texts, strict=True):
            taken, mine = 0, []
            while position < len(heard) and taken < len(text):
                word = heard[position]
                if word.text:
                    mine.append(_timed(word, offset))
                taken += len(word.tokens)
                position += 1
            if mine:
                segment.words = _beside_pauses(mine, segment, usual, last_speech)
                last_speech = segment.end
        return last_speech

    async def _hear(self, tokens: list[int], language: str, window: Window) -> list[_Heard]:
        vocabulary = self._whisper.vocabulary
        forced = self._whisper.forced(language, self._task)
        head = [vocabulary.start, *(step[0] for step in forced), vocabulary.no_timestamps]
        scores, probabilities = await self._engine.attention(
            window, [*head, *tokens, vocabulary.end]
        )
        words = vocabulary.words(tokens, language if self._whisper.multilingual else None)
        said = np.asarray(probabilities)[len(head) - 1 :]
        # A row more than there are tokens: <|notimestamps|>, from which the first is written.
        times = await asyncio.to_thread(align, scores, len(head) - 1)
        edges = np.cumsum([0, *(len(word.tokens) for word in words)])
        return [
            _Heard(
                text=word.text,
                tokens=word.tokens,
                start=float(times[first]),
                end=float(times[last]),
                probability=float(said[first:last].mean()),
            )
            for word, first, last in zip(words, edges[:-1], edges[1:], strict=True)
        ]


def align(scores: Scores, first: int) -> NDArray[np.float64]:
    """The seconds at which each token from row `first` on was heard, but for the last row.

    `scores` [heads, tokens, steps] are attention scores before the softmax.
    """
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    mean, deviation = weights.mean(-2, keepdims=True), weights.std(-2, keepdims=True)
    # Where no head looks, all weights are the same.
    weights = _smooth((weights - mean) / np.where(deviation > 0, deviation, 1))
    matrix = weights.mean(0)[first:-1]
    rows, steps = warp(-matrix.astype(np.float64))
    new = np.concatenate([[True], np.diff(rows).astype(bool)])
    times: NDArray[np.float64] = steps[new] / _STEPS_PER_SECOND
    return times


def _smooth(weights: Scores) -> Scores:
    """The median of each 7 neighbouring steps, mirrored at the ends."""
    half = _SMOOTH // 2
    if weights.shape[-1] <= half:
        return weights
    padded = np.pad(weights, ((0, 0), (0, 0), (half, half)), mode="reflect")
    neighbours = np.lib.stride_tricks.sliding_window_view(padded, _SMOOTH, -1)
    smooth: Scores = np.median(neighbours, axis=-1)
    return smooth


def warp(cost: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The cheapest way from the first to the last cell of `cost` [rows, steps], as two index lists.

    Cells are added up a diagonal at a time, which numpy does for all its cells at once.
    """
    rows, steps = cost.shape
    total = np.full((rows + 1, steps + 1), np.inf, np.float32)
    came = np.zeros((rows + 1, steps + 1), np.int8)
    total[0, 0] = 0
    for diagonal in range(2, rows + steps + 1):
        at = np.arange(max(1, diagonal - steps), min(rows, diagonal - 1) + 1)
        step = diagonal - at
        both, row, column = total[at - 1, step - 1], total[at - 1, step], total[at, step - 1]
        best = np.where((row < both) & (row < column), 1, 2)
        best = np.where((both < row) & (both < column), 0, best)
        least = np.choose(best, [both, row, column])
        total[at, step] = cost[at - 1, step - 1] + least
        came[at, step] = best
    return _way_back(came)


def _way_back(came: NDArray[np.int8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    row, step = came.shape[0] - 1, came.shape[1] - 1
    came[0, :], came[:, 0] = 2, 1
    path = []
    while row > 0 or step > 0:
        path.append((row - 1, step - 1))
        move = came[row, step]
        row -= move != 2
        step -= move != 1
    way = np.array(path[::-1])
    return way[:, 0], way[:, 1]


def _shorten_at_sentence_ends(words: list[_Heard], most: float) -> None:
    """A pause between sentences is not part of the words around it."""
    for before, word in pairwise(words):
        if word.length > most:
            if word.text in _SENTENCE_ENDS:
                word.end = word.start + most
            elif before.text in _SENTENCE_ENDS:
                word.start = word.end - most


def _join_punctuation(words: list[_Heard]) -> None:
    """Opening signs to the word after them, closing ones to the word before; emptied ones stay."""
    after = len(words) - 1
    for at in range(len(words) - 2, -1, -1):
        word, following = words[at], words[after]
        if word.text.startswith(" ") and word.text.strip() in _OPENING:
            following.text = word.text + following.text
            following.tokens = word.tokens + following.tokens
            word.text, word.tokens = "", ()
        else:
            after = at
    before = 0
    for at in range(1, len(words)):
        word, previous = words[at], words[before]
        if not previous.text.endswith(" ") and word.text in _CLOSING:
            previous.text += word.text
            previous.tokens += word.tokens
            word.text, word.tokens = "", ()
        else:
            before = at


def _timed(word: _Heard, offset: float) -> TimedWord:
    start, end = round(offset + word.start, 2), round(offset + word.end, 2)
    return TimedWord(word.text, start, end, word.probability, word.tokens)


def _beside_pauses(
    words: list[TimedWord], segment: Segment, usual: float, last_speech: float
) -> list[TimedWord]:
    """Shorten what is too long after a pause, and let segment and words agree on their ends."""
    words = _after_pause(words, usual, last_speech)
    first = words[0]
    if segment.start < first.end and segment.start - 0.5 > first.start:
        words[0] = replace(first, start=max(0, min(first.end - usual, segment.start)))
    else:
        segment.start = first.start
    last = words[-1]
    if segment.end > last.start and segment.end + 0.5 < last.end:
        words[-1] = replace(last, end=max(last.start + usual, segment.end))
    else:
        segment.end = last.end
    return words


def _after_pause(words: list[TimedWord], usual: float, last_speech: float) -> list[TimedWord]:
    most = 2 * usual
    first, second = words[0], words[1] if len(words) > 1 else None
    long = first.end - first.start > most
    both_long = second is not None and second.end - first.start > 2 * most
    if first.end - last_speech <= 4 * usual or not (long or both_long):
        return words
    rest: Sequence[TimedWord] = words[1:]
    if second is not None and second.end - second.start > most:
        edge = max(second.end / 2, second.end - most)
        first, rest = replace(first, end=edge), [replace(second, start=edge), *words[2:]]
    return [replace(first, start=max(0, first.end - most)), *rest]
