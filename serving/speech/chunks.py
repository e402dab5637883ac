"""A long recording cut into pieces that are written down side by side.

A piece ends in a pause of the speech wherever there is one, so that most joins need no care. Where
somebody speaks on for half a minute, two pieces overlap, and their texts are joined at the longest
run of words that both have there.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sensorium.serving.speech.features import FRAMES_PER_SECOND, WINDOW_FRAMES, Samples, frames_of
from sensorium.serving.speech.loudness import decibels, quiet_below
from sensorium.serving.speech.segments import Segment, TimedWord
from sensorium.serving.speech.vocabulary import Vocabulary, Word

__all__ = ["Piece", "join", "plan"]

_BLOCK = 10  # frames, 0.1 s
_EARLIEST = 20 * FRAMES_PER_SECOND  # of 30 s: where the search for a pause begins
_PAUSE = 30  # frames, 0.3 s
_SHORTEST = 30  # frames of a word
_OVERLAP = 4 * FRAMES_PER_SECOND
_ASTRAY = 2.0  # seconds by which the time of a word may be wrong


@dataclass(frozen=True)
class Piece:
    """Frames `first` to `end`; from `until` on nobody begins to speak.

    `overlap` says that it begins before the piece before it ends.
    """

    first: int
    end: int
    until: int
    overlap: bool = False


def plan(samples: Samples) -> list[Piece]:
    """Cut a recording into pieces of at most 30 s."""
    frames = frames_of(samples)
    pieces: list[Piece] = []
    first, overlap = 0, False
    while frames - first > WINDOW_FRAMES:
        end = first + WINDOW_FRAMES
        pause = _pause(samples, first, end)
        pieces.append(_piece(samples, first, end if pause is None else pause, overlap))
        overlap = pause is None
        first = end - _OVERLAP if pause is None else pause
    if frames > first:
        pieces.append(_piece(samples, first, frames, overlap))
    return pieces


def _piece(samples: Samples, first: int, end: int, overlap: bool) -> Piece:
    """A piece; the last word in it begins before its last tenth of a second that is not quiet."""
    level = decibels(samples, first, end, _BLOCK)
    heard = np.flatnonzero(level > quiet_below(level)) if len(level) else level
    until = first + _BLOCK * (int(heard[-1]) + 1) - _SHORTEST if len(heard) else end
    return Piece(first, end, max(first, until), overlap)


def _pause(samples: Samples, first: int, end: int) -> int | None:
    """The middle of the last pause in the last third of a window, if there is one."""
    level = decibels(samples, first, end)
    means = np.convolve(level, np.ones(_PAUSE) / _PAUSE, "valid")[_EARLIEST:]
    quiet = np.flatnonzero(means <= quiet_below(level))
    if not len(quiet):
        return None
    last = np.split(quiet, np.flatnonzero(np.diff(quiet) > 1) + 1)[-1]
    return first + _EARLIEST + int(last[len(last) // 2]) + _PAUSE // 2


def join(
    left: list[Segment], right: list[Segment], vocabulary: Vocabulary, begin: float
) -> list[Segment]:
    """The right side without what the left side has said already; both are changed in place.

    `right` was written from sound that begins at the second `begin`, 4 s before the sound of `left`
    ends. Only words of about that time are compared: people repeat themselves.
    """
    if not left or not right:
        return right
    language = left[-1].written.language
    end = begin + _OVERLAP / FRAMES_PER_SECOND
    one = [unit for unit in _units(left, vocabulary, language) if unit.at > begin - _ASTRAY]
    two = [unit for unit in _units(right, vocabulary, language) if unit.at < end + _ASTRAY]
    names = [[_plain(unit.word.text) for unit in side] for side in (one, two)]
    match = difflib.SequenceMatcher(None, names[0], names[1], autojunk=False).find_longest_match()
    if match.size < 2:
        # Nothing in common: somebody who spoke unclearly there. Go by the clock.
        middle = (begin + end) / 2
        gone = [unit for unit in one if unit.at > middle]
        double = [unit for unit in two if unit.at <= middle]
    else:
        half = match.size // 2
        gone, double = one[match.a + half :], two[: match.b + half]
    _drop(left, gone, vocabulary, head=False)
    _drop(right, double, vocabulary, head=True)
    kept = [segment for segment in right if segment.text]
    ends = [segment.end for segment in left if segment.text]
    if kept and ends:
        kept[0].start = min(max(kept[0].start, ends[-1]), kept[0].end)
    return kept


@dataclass(frozen=True)
class _Unit:
    """A word of a segment, and about when it was said."""

    segment: Segment
    word: Word | TimedWord
    at: float


def _units(segments: Sequence[Segment], vocabulary: Vocabulary, language: str) -> list[_Unit]:
    units: list[_Unit] = []
    for segment in segments:
        text = [token for token in segment.tokens if token < vocabulary.end]
        words: Sequence[Word | TimedWord] = segment.words or vocabulary.words(text, language)
        pace = (segment.end - segment.start) / max(1, len(text))
        done = 0
        for word in words:
            at = segment.start + pace * (done + len(word.tokens) / 2)
            units.append(_Unit(segment, word, at))
            done += len(word.tokens)
    return units


def _plain(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def _drop(
    segments: Sequence[Segment], units: Sequence[_Unit], vocabulary: Vocabulary, *, head: bool
) -> None:
    """Take words out of segments, in place: with `head` the first ones of each, else the last.

    Times go by the words that are left, or by how much text is left where words have none.
    """
    for segment in segments:
        gone = [unit.word for unit in units if unit.segment is segment]
        count = sum(len(word.tokens) for word in gone)
        at = [i for i, token in enumerate(segment.tokens) if token < vocabulary.end]
        if not count or not at:
            continue
        lost = set(at[:count] if head else at[len(at) - count :])
        share = (segment.end - segment.start) * count / len(at)
        if head:
            segment.start += share
            segment.words = segment.words[len(gone) :]
        else:
            segment.end -= share
            segment.words = segment.words[: len(segment.words) - len(gone)]
        if segment.words:
            segment.start, segment.end = segment.words[0].start, segment.words[-1].end
        kept = [i for i in range(len(segment.tokens)) if i not in lost]
        segment.tokens = [segment.tokens[i] for i in kept]
        segment.logprobs = [segment.logprobs[i] for i in kept]
        segment.text = vocabulary.decode(segment.tokens)
        if not segment.text.strip():
            segment.text, segment.tokens, segment.logprobs, segment.words = "", [], [], []
