"""How far a transcript is from what was said: word errors, and clips that are missing."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["lost_clips", "word_error_rate", "word_errors", "words"]

# The least share of a clip's words that must be found, in order, for the clip not to be lost.
_FOUND = 0.6


def words(text: str) -> list[str]:
    """Lower-case words without punctuation; "Mr." is read out."""
    plain = re.sub(r"[^a-z']+", " ", text.lower())
    return ["mister" if word == "mr" else word for word in plain.split()]


def word_errors(reference: str, answer: str) -> int:
    """The fewest words to insert, delete or replace to turn one text into the other."""
    return int(_distances(words(reference), words(answer))[-1, -1])


def word_error_rate(pairs: Sequence[tuple[str, str]]) -> float:
    """Errors per reference word over (reference, answer) pairs."""
    errors = sum(word_errors(reference, answer) for reference, answer in pairs)
    return errors / sum(len(words(reference)) for reference, _ in pairs)


def lost_clips(said: Sequence[str], answer: str) -> list[int]:
    """Numbers of the texts in `said`, spoken one after the other, that the answer has not.

    The answer is aligned with all that was said at the fewest word errors, so that a clip counts as
    found only in its place.
    """
    clips = [words(text) for text in said]
    owners = [number for number, clip in enumerate(clips) for _ in clip]
    wanted, got = [word for clip in clips for word in clip], words(answer)
    found = np.zeros(len(clips), int)
    for at in _matched(wanted, got):
        found[owners[at]] += 1
    return [n for n, clip in enumerate(clips) if found[n] < _FOUND * len(clip)]


def _distances(wanted: Sequence[str], got: Sequence[str]) -> NDArray[np.int32]:
    """Word errors between the first `i` and the first `j` words, for all of them."""
    numbers = {word: number for number, word in enumerate({*wanted, *got})}
    heard = np.array([numbers[word] for word in got], np.int32)
    columns = np.arange(len(got) + 1, dtype=np.int32)
    table = np.empty((len(wanted) + 1, len(got) + 1), np.int32)
    table[0] = columns
    for row, word in enumerate(wanted, start=1):
        above = table[row - 1]
        best = above + 1
        best[1:] = np.minimum(best[1:], above[:-1] + (heard != numbers[word]))
        # Insertions run along the row: each costs one more than the column before.
        table[row] = np.minimum.accumulate(best - columns) + columns
    return table


def _matched(wanted: Sequence[str], got: Sequence[str]) -> list[int]:
    """Places in `wanted` whose word the cheapest alignment finds in `got`."""
    table = _distances(wanted, got)
    row, column = len(wanted), len(got)
    matched = []
    while row and column:
        same = wanted[row - 1] == got[column - 1]
        if table[row, column] == table[row - 1, column - 1] + (not same):
            row, column = row - 1, column - 1
            if same:
                matched.append(row)
        elif table[row, column] == table[row - 1, column] + 1:
            row -= 1
        else:
            column -= 1
    return matched
