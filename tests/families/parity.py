"""The comparison of a served checkpoint with its reference: the same cases for every family."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from tests.families.checkpoints import BUILDERS
from tests.families.clips import Clip
from tests.families.reference import Reference
from tests.families.served import Answer, Served, encoded, question

__all__ = ["CASES", "TOLERANCE", "Case", "Subject", "blocks", "images_first", "serving"]

# Of top-5 log-probabilities, absolute, in float32.
TOLERANCE = 5e-4
QUESTION = "What is in the image?"


@dataclass(frozen=True)
class Case:
    """A question, its pictures and its videos.

    `authors` is the text where the authors' script writes more than the question.
    """

    name: str
    images: tuple[bytes, ...] = ()
    text: str = QUESTION
    videos: tuple[Clip, ...] = ()
    authors: str = ""

    @property
    def media(self) -> tuple[bytes, ...]:
        """What the question is about, in order."""
        return (*self.images, *self.videos)


def blocks(columns: int, rows: int, pixels: int, seed: int) -> Image.Image:
    """Random colours in blocks: differs everywhere and survives resizing."""
    random = np.random.default_rng(seed)
    colours = random.integers(0, 255, (rows, columns, 3), dtype=np.uint8)
    return Image.fromarray(np.kron(colours, np.ones((pixels, pixels, 1), dtype=np.uint8)))


def _see_through() -> Image.Image:
    image = blocks(9, 7, 10, 5).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def _rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    return encoded(blocks(9, 5, 16, 6), "JPEG", quality=90, exif=exif)


_WIDE = encoded(blocks(9, 5, 11, 1))
_TALL = encoded(blocks(4, 12, 7, 2))
CASES = (
    Case("text only", text="Who are you?"),
    Case("odd aspect", (_WIDE,)),
    Case("two images", (_WIDE, _TALL), "Compare the two."),
    Case("one to five", (encoded(blocks(3, 15, 9, 3)),)),
    Case("one pixel", (encoded(Image.new("RGB", (1, 1), (200, 30, 90))),)),
    Case("grayscale", (encoded(blocks(6, 6, 10, 4).convert("L")),)),
    Case("alpha", (encoded(_see_through()),)),
    Case("palette", (encoded(blocks(8, 6, 9, 7).convert("P")),)),
    Case("turned by EXIF", (_rotated(),)),
)


def images_first(text: str, images: int) -> str:
    """LLaVA's question."""
    return "<image>\n" * images + text


class Subject:
    """A checkpoint that is served, its reference, and the authors' prompt for one question.

    `write` puts a question and the number of its images into the authors' text.
    """

    def __init__(
        self,
        served: Served,
        reference: Reference,
        prompt: str,
        write: Callable[[str, int], str] = images_first,
    ) -> None:
        self.served = served
        self.reference = reference
        self.prompt = prompt
        self.write = write

    def authors_prompt(self, case: Case) -> str:
        """The text that the authors' code would tokenise."""
        return self.prompt.format(self.write(case.authors or case.text, len(case.media)))

    def serve(self, cases: Sequence[Case]) -> list[Answer]:
        """Answers to the cases, in one batch."""
        return self.served.chat(*(question(case.text, case.images, case.videos) for case in cases))

    def compare(self, case: Case, answer: Answer, *, anew: bool = False) -> float:
        """The largest difference of log-probabilities; fails where ids differ.

        The reference answers each case once, unless it shall do so `anew`.
        """
        answers = _expected.__wrapped__ if anew else _expected
        expected = answers(self.reference, self.authors_prompt(case), case.media)
        assert len(answer.prompt) == expected.length
        assert answer.prompt[: len(expected.first)] == expected.first
        assert answer.tokens == expected.tokens, case.name
        return _difference(answer, expected.rows)


class _Expected(NamedTuple):
    """A prompt's length, its ids up to the first image, and the answer to it."""

    length: int
    first: list[int]
    tokens: list[int]
    rows: torch.Tensor


@lru_cache(maxsize=64)
def _expected(reference: Reference, prompt: str, media: tuple[bytes, ...]) -> _Expected:
    """What the reference says; the two engines of a family ask the same."""
    reference.last = None
    length = reference.prompt_length(prompt, media)
    return _Expected(length, reference.pieces(prompt)[0], *reference.answer(prompt, media))


def _difference(answer: Answer, rows: Any) -> float:
    """The largest absolute difference between served and reference log-probabilities."""
    return max(
        abs(value - float(row[token]))
        for step, row in zip(answer.top, rows, strict=True)
        for token, value in step.items()
    )


@contextmanager
def serving(
    name: str,
    folder: Path,
    prompt: str,
    read: Callable[[Path], Reference],
    write: Callable[[str, int], str] = images_first,
    **options: Any,
) -> Iterator[Subject]:
    """Build a checkpoint below `folder`, serve it, and `read` it as its authors do.

    `prompt` holds {} for the question, which `write` writes.
    """
    checkpoint = folder / name
    if not checkpoint.exists():
        checkpoint.mkdir()
        BUILDERS[name](checkpoint)
    served = Served(checkpoint, **options)
    try:
        yield Subject(served, read(checkpoint), prompt, write)
    finally:
        served.close()
