"""Token sequences in which several questions share one picture, clip or sound.

Each question and answer is a segment. A segment sees the medium and itself but not its neighbours,
and its positions start where the medium ends: one pass of the vision tower pays for several
single-turn examples. A share of the sequences are real conversations instead, where later turns
see the earlier ones.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from sensorium.model_adapters.demo import tokenizer as tokens
from sensorium.model_adapters.demo.phrasing import Question
from sensorium.model_adapters.demo.small_talk import SYSTEM_PROMPTS

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["POSITIONS_PER_SECOND", "Medium", "SequenceBuilder", "Sequenced", "attention_mask"]

POSITIONS_PER_SECOND: Final = 13
"""Steps of the time axis of the positions in one second; two frames are one second."""

SPELLED: Final = frozenset(("read", "describe_text", "pair_read"))
"""Types of question whose answers hold the printed text."""


@dataclass(frozen=True)
class Medium:
    """How many tokens a medium takes: `kind` is "image", "video" or "audio".

    `grid` is (seconds, rows, columns) of merged 32-pixel tokens for pictures and clips, and
    (tokens,) for sounds.
    """

    kind: str
    grid: tuple[int, ...]


@dataclass
class Sequenced:
    """One training sequence of length n.

    `segments` is 0 for what all questions share and 1, 2, ... for the questions; `targets` marks
    the tokens the model must predict; `positions` are (3, n): time, row, column.
    """

    ids: list[int] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)
    targets: list[bool] = field(default_factory=list)
    positions: list[list[int]] = field(default_factory=lambda: [[], [], []])


class _Writer:
    def __init__(self) -> None:
        self.made = Sequenced()
        self.position = 0

    def put(self, ids: Sequence[int], segment: int, target: bool = False) -> None:
        made, count = self.made, len(ids)
        made.ids.extend(ids)
        made.segments.extend([segment] * count)
        made.targets.extend([target] * count)
        for axis in made.positions:
            axis.extend(range(self.position, self.position + count))
        self.position += count

    def put_grid(self, token: int, grid: tuple[int, ...]) -> None:
        made, count = self.made, int(np.prod(grid))
        made.ids.extend([token] * count)
        made.segments.extend([0] * count)
        made.targets.extend([False] * count)
        places = np.indices(grid).reshape(3, -1)
        places[0] *= POSITIONS_PER_SECOND
        for axis, values in zip(made.positions, places, strict=True):
            axis.extend((values + self.position).tolist())
        self.position += int(places.max()) + 1


class SequenceBuilder:
    """Writes chats as token sequences, exactly as the chat template and the engine would."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._cache: dict[str, list[int]] = {}
        newline = self.encode("\n")
        self._user = [tokens.TURN_START, *self.encode("user\n")]
        self._assistant = [tokens.TURN_END, *newline, tokens.TURN_START]
        self._assistant += self.encode("assistant\n")
        self._newline = newline

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text."""
        if text not in self._cache:
            if len(self._cache) > 200_000:
                self._cache.clear()
            self._cache[text] = self._tokenizer.encode(text).ids
        return self._cache[text]

    def encode_answer(self, answer: str, printed: str | None) -> list[int]:
        """Token ids of an answer, with printed text in it spelled one character a token."""
        if not printed or printed not in answer:
            return self.encode(answer)
        before, after = answer.split(printed, 1)
        ids = [*self.encode(before.removesuffix(" "))] if before else []
        if before.endswith(" "):
            ids += self.encode(" ")
        for character in printed:
            ids += self.encode(character)
        return ids + (self.encode(after) if after else [])

    def build(
        self,
        rng: random.Random,
        media: Sequence[Medium],
        questions: Sequence[Question],
        printed: str | None = None,
        shared: bool = True,
    ) -> Sequenced:
        """A sequence of all `questions` about `media`.

        `printed` is the text in the picture, if any. `shared` keeps the questions apart;
        otherwise they are turns of one conversation.
        """
        writer = _Writer()
        if rng.random() < 0.12:
            system = [tokens.TURN_START, *self.encode("system\n")]
            writer.put([*system, *self.encode(rng.choice(SYSTEM_PROMPTS))], 0)
            writer.put([tokens.TURN_END, *self._newline], 0)
        writer.put(self._user, 0)
        for medium in media:
            self._put_medium(writer, medium)
        start = writer.position
        for index, question in enumerate(questions):
            segment = index + 1 if shared else 1
            if shared:
                writer.position = start
            elif index:
                writer.put([*self._newline, *self._user], segment)
            writer.put([*self.encode(question.text), *self._assistant], segment)
            spelled = printed if question.kind in SPELLED else None
            answer = self.encode_answer(question.answer, spelled)
            writer.put([*answer, tokens.TURN_END], segment, target=True)
        return writer.made

    @staticmethod
    def _put_medium(writer: _Writer, medium: Medium) -> None:
        if medium.kind == "audio":
            writer.put([tokens.AUDIO_START], 0)
            writer.put([tokens.AUDIO] * medium.grid[0], 0)
            writer.put([tokens.AUDIO_END], 0)
            return
        writer.put([tokens.VISION_START], 0)
        writer.put_grid(tokens.IMAGE if medium.kind == "image" else tokens.VIDEO, medium.grid)
        writer.put([tokens.VISION_END], 0)


def attention_mask(segments: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Who sees whom, (batch, n, n), for segments (batch, n) with -1 as padding."""
    length = segments.shape[1]
    causal = np.tril(np.ones((length, length), bool))[None]
    shared = segments[:, None, :] == 0
    own = segments[:, None, :] == segments[:, :, None]
    mask: npt.NDArray[np.bool_] = (causal & (shared | own)) | np.eye(length, dtype=bool)[None]
    return mask
