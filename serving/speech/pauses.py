"""A recording without the inner part of its long pauses, and its clock.

Whisper always works on 30 s: what it is not shown is work saved, and it hears no words there. Only
what cannot be speech is left out: a second or more that is quiet and does not change.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from sensorium.serving.speech.features import FRAMES_PER_SECOND, HOP, Samples, frames_of
from sensorium.serving.speech.loudness import LEAST_CHANGE, decibels, quiet_below
from sensorium.serving.speech.segments import Segment

__all__ = ["Shortened", "shorten"]

_BLOCK = 10  # frames, 0.1 s
_LONG = 10  # blocks of a pause
_KEPT = 30  # frames at either end of a pause
_AT_ONCE = 6_000  # frames looked at together
# Digital silence and the faintest noise are the same: the loudness of 10 steps of 16 bits.
_FAINTEST = 20.0

Span = tuple[int, int]


class Shortened:
    """`Samples` of the frames within `spans`, in their order; times can be turned back."""

    def __init__(self, samples: Samples, spans: Sequence[Span]) -> None:
        self._samples = samples
        self._starts = [first for first, _ in spans]
        # Where each span begins in what is left, and after the last where that ends.
        self._places = [0, *accumulate(end - first for first, end in spans)]

    def __len__(self) -> int:
        return self._places[-1] * HOP

    def __getitem__(self, part: slice, /) -> NDArray[np.int16]:
        first, end, _ = part.indices(len(self))
        found = [np.zeros(0, np.int16)]
        while first < end:
            span = bisect_right(self._places, first // HOP) - 1
            stop = min(end, self._places[span + 1] * HOP)
            moved = (self._starts[span] - self._places[span]) * HOP
            found.append(self._samples[first + moved : stop + moved])
            first = stop
        return np.concatenate(found)

    def put_back(self, segment: Segment) -> None:
        """Give a segment the times of the whole recording, in place."""
        segment.seek = round(self._moved(segment.seek / FRAMES_PER_SECOND) * FRAMES_PER_SECOND)
        segment.start, segment.end = self._both(segment.start, segment.end)
        for at, word in enumerate(segment.words):
            start, end = self._both(word.start, word.end)
            segment.words[at] = replace(word, start=start, end=end)

    def _both(self, start: float, end: float) -> tuple[float, float]:
        begun = self._moved(start)
        return begun, max(begun, self._moved(end, closing=True))

    def _moved(self, seconds: float, closing: bool = False) -> float:
        """Where a pause was left out, what ends there ends before it, and what begins after it."""
        bisect = bisect_left if closing else bisect_right
        span = bisect(self._places, seconds * FRAMES_PER_SECOND) - 1
        span = min(max(span, 0), len(self._starts) - 1)
        return seconds + (self._starts[span] - self._places[span]) / FRAMES_PER_SECOND


def shorten(samples: Samples) -> Shortened:
    """Leave out all but 0.3 s at either end of each long pause."""
    frames = frames_of(samples)
    spans: list[Span] = []
    begin = 0
    for first, end in _pauses(_levels(samples, frames)):
        if end - first > 2 * _KEPT:
            spans.append((begin, first + _KEPT))
            begin = end - _KEPT
    return Shortened(samples, [*spans, (begin, frames)])


def _levels(samples: Samples, frames: int) -> NDArray[np.float64]:
    found = [
        decibels(samples, first, min(first + _AT_ONCE, frames), _BLOCK)
        for first in range(0, frames, _AT_ONCE)
    ]
    levels: NDArray[np.float64] = np.maximum(np.concatenate([np.zeros(0), *found]), _FAINTEST)
    return levels


def _pauses(levels: NDArray[np.float64]) -> list[Span]:
    """Frames of stretches of which each second is quiet and steady."""
    if len(levels) < _LONG:
        return []
    seconds = np.lib.stride_tricks.sliding_window_view(levels, _LONG)
    highest, lowest = seconds.max(-1), seconds.min(-1)
    quiet = (highest <= quiet_below(levels)) & (highest - lowest < LEAST_CHANGE)
    still = np.convolve(quiet, np.ones(_LONG)) > 0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], still.astype(np.int8), [0]])))
    return [(first * _BLOCK, end * _BLOCK) for first, end in edges.reshape(-1, 2).tolist()]
