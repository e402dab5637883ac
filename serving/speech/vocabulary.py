"""Whisper's tokens: text to ids, ids to text, and the ids that have a meaning of their own.

Special tokens are looked up by name, never by number: English-only models, models of 99 languages
and models of 100 number them differently. Text is turned into ids by the byte-pair part of the
vocabulary alone, so that a prompt that spells `<|endoftext|>` is a prompt about these letters.

What is suppressed, and how tokens become words: openai/whisper, whisper/tokenizer.py.
"""

from __future__ import annotations

import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from sensorium.model_adapters.whisper.languages import LANGUAGES, WITHOUT_SPACES

__all__ = ["Vocabulary", "VocabularyError", "Word", "load_vocabulary"]

_PAIRS = "<< >> <<< >>> -- --- -( -[ (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪"
_SYMBOLS = (*'"#()*+/:;<=>@[\\]^_`{|}~「」『』', *_PAIRS.split())
# Several tokens each, the first of which they share with signs nobody says.
_NOTES = "♩♪♫♬♭♮♯"
_STEPS = 1501
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class VocabularyError(ValueError):
    """The tokenizer's files are not those of a Whisper; the message says what is missing."""


@dataclass(frozen=True)
class Word:
    """A piece of text that is not divided further, and its tokens."""

    text: str
    tokens: tuple[int, ...]


class Vocabulary:
    """The vocabulary of one model.

    `special` maps the names of special tokens to ids, `pieces` ids of text tokens to their bytes.
    """

    def __init__(self, encoder: Tokenizer, special: Mapping[str, int]) -> None:
        self._encoder = encoder
        self._special = dict(special)
        self.end = self._id("<|endoftext|>")
        self.start = self._id("<|startoftranscript|>")
        self.previous = self._id("<|startofprev|>")
        self.no_timestamps = self._id("<|notimestamps|>")
        # Older files call it by its older name.
        self.no_speech = self._id("<|nospeech|>", "<|nocaptions|>")
        self.timestamps = self.no_timestamps + 1
        self.size = self.timestamps + _STEPS
        self.pieces = _pieces(encoder)
        codes = {code: self._special.get(f"<|{code}|>") for code in LANGUAGES}
        # English-only models have these tokens too, but were never trained on them.
        self.languages = {code: number for code, number in codes.items() if number is not None}

    def _id(self, *names: str) -> int:
        for name in names:
            if name in self._special:
                return self._special[name]
        raise VocabularyError(f"the tokenizer has no token {names[0]}; a Whisper's has one")

    def task(self, name: str) -> int:
        """The token of `transcribe` or `translate`."""
        return self._id(f"<|{name}|>")

    def encode(self, text: str) -> list[int]:
        """Ids of plain text; special tokens spelt in it are text too."""
        return [int(number) for number in self._encoder.encode(text, add_special_tokens=False).ids]

    def bytes_of(self, tokens: Sequence[int]) -> bytes:
        """The bytes that text tokens stand for; others stand for none."""
        return b"".join(self.pieces.get(token, b"") for token in tokens if token < self.end)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of the text tokens; bytes that are no UTF-8 become U+FFFD."""
        return self.bytes_of(tokens).decode("utf-8", "replace")

    @cached_property
    def suppressed(self) -> list[int]:
        """Ids the authors never let be generated: signs that nobody says, and what is no text."""
        found = {self.encode(" -")[0], self.encode(" '")[0]}
        for symbol in [*_SYMBOLS, *_NOTES]:
            for ids in (self.encode(symbol), self.encode(" " + symbol)):
                if len(ids) == 1 or symbol in _NOTES:
                    found.add(ids[0])
        return sorted(found | self.silent)

    @cached_property
    def silent(self) -> set[int]:
        """Ids that steer the model and are no part of any text."""
        tasks = {self.task("transcribe"), self.task("translate"), self._id("<|startoflm|>")}
        return tasks | {self.start, self.previous, self.no_speech}

    @cached_property
    def blank(self) -> list[int]:
        """Ids that no text begins with: a lone space, and the end."""
        return sorted({*self.encode(" "), self.end})

    def words(self, tokens: Sequence[int], language: str | None) -> list[Word]:
        """Text tokens as words: at spaces and punctuation, or characters where none are written."""
        pieces = self._characters(tokens)
        if language in WITHOUT_SPACES:
            return pieces
        words: list[Word] = []
        for piece in pieces:
            alone = piece.text.startswith(" ") or piece.text.strip() in string.punctuation
            if alone or not words:
                words.append(piece)
            else:
                last = words[-1]
                words[-1] = Word(last.text + piece.text, last.tokens + piece.tokens)
        return words

    def _characters(self, tokens: Sequence[int]) -> list[Word]:
        """The shortest runs of tokens that are whole characters."""
        whole = self.decode(tokens)
        words: list[Word] = []
        run: list[int] = []
        position = 0
        for token in tokens:
            run.append(token)
            text = self.decode(run)
            at = text.find(_REPLACEMENT)
            # A replacement that is also in the whole text is not going to be completed.
            if at < 0 or whole[position + at : position + at + 1] == _REPLACEMENT:
                words.append(Word(text, tuple(run)))
                position += len(text)
                run = []
        if run:
            words.append(Word(self.decode(run), tuple(run)))
        return words


def load_vocabulary(folder: Path) -> Vocabulary:
    """Read `tokenizer.json`; VocabularyError where it is absent or not a Whisper's."""
    path = folder / "tokenizer.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        added = {token["content"]: int(token["id"]) for token in content["added_tokens"]}
        words = content["model"]["vocab"]
        plain = {**content, "added_tokens": [], "post_processor": None, "normalizer": None}
    except FileNotFoundError:
        raise VocabularyError(f"{folder} has no tokenizer.json; Whisper's text needs it") from None
    except (ValueError, KeyError, TypeError) as error:
        raise VocabularyError(f"{path} is not a tokenizer: {error!r}") from None
    named = {name: number for name, number in words.items() if name.startswith("<|")}
    return Vocabulary(Tokenizer.from_str(json.dumps(plain)), {**named, **added})


def _pieces(encoder: Tokenizer) -> dict[int, bytes]:
    stand_ins = _byte_of_character()
    pieces: dict[int, bytes] = {}
    vocabulary: dict[str, Any] = encoder.get_vocab(with_added_tokens=False)
    for text, number in vocabulary.items():
        try:
            pieces[number] = bytes(stand_ins[character] for character in text)
        except KeyError:
            pieces[number] = text.encode()
    return pieces


def _byte_of_character() -> dict[str, int]:
    """Byte-level vocabularies write each byte as a printable character (GPT-2's table)."""
    printable = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(256, 512))
    return {chr(byte if byte in printable else next(others)): byte for byte in range(256)}
