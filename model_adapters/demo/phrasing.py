"""Small grammar helpers and the ways in which people vary a question."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = [
    "IMAGE_WORDS",
    "Question",
    "capital",
    "choose",
    "colour_word",
    "listing",
    "plural",
    "split_words",
    "vary",
    "with_article",
]

IMAGE_WORDS: Final = ("image", "picture", "photo", "image", "scene")
IMPERATIVES: Final = frozenset(
    ("Describe", "Read", "List", "Count", "Tell", "Name", "Transcribe", "Caption", "Summarize")
)


@dataclass(frozen=True)
class Question:
    """A question, its one right answer, and the type it is reported under."""

    kind: str
    text: str
    answer: str


def split_words(text: str) -> tuple[str, ...]:
    """The words of a text, for long tables."""
    return tuple(text.split())


def choose(rng: random.Random, forms: Sequence[str], **filled: str) -> str:
    """One of `forms`, with `{names}` filled from `filled`."""
    return rng.choice(forms).format(**filled)


def colour_word(rng: random.Random) -> str:
    """American or British spelling."""
    return rng.choice(("color", "colour"))


def with_article(noun: str) -> str:
    """`a circle`, `an orange circle`."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def plural(noun: str) -> str:
    """`circles`, `crosses`."""
    return noun + ("es" if noun.endswith("s") else "s")


def capital(text: str) -> str:
    """The text with a capital first letter, the rest untouched."""
    return text[0].upper() + text[1:]


def listing(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(parts) == 1:
        return parts[0]
    return ", ".join(parts[:-1]) + " and " + parts[-1]


def vary(rng: random.Random, question: str) -> str:
    """The question as somebody in a hurry, or somebody polite, would type it."""
    kind = rng.random()
    if kind < 0.12:
        return question.lower()
    if kind < 0.20:
        return question.rstrip("?.")
    if kind < 0.26 and question.split(maxsplit=1)[0] in IMPERATIVES:
        return "Please " + question[0].lower() + question[1:]
    if 0.26 <= kind < 0.30:
        return question + " Answer briefly."
    return question
