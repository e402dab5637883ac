"""Text as transformers' slow Llama tokenizer read it, where today's gives other ids.

The slow tokenizer handed whole stretches of text to sentencepiece. Symbols that the sentencepiece
model itself defines, such as Yi's `<|im_start|>`, then stand inside a stretch: only its beginning
gets the space that sentencepiece puts before a text. Today's tokenizer cuts the text at them first,
and puts the space after each. Facts: huggingface/transformers v4.37,
models/llama/tokenization_llama.py (`tokenize`, with `legacy`), tokenization_utils.py (`tokenize`).
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers.utils.hub import cached_file

from sensorium.model_adapters.engine.typed_text import any_of, respelt, spell

__all__ = ["SlowPieces", "defines_symbols"]

_SPACE = "\u2581"
# Types of pieces in sentencepiece's own format.
_CONTROL, _USER_DEFINED = 3, 4


class SlowPieces:
    """Mixed into a tokenizer's class; `read_sentencepiece` must be called once.

    `plain` reads raw prompts, `typed` the prompts that a chat template wrote.
    """

    plain: _Reader
    typed: _TypedReader
    unk_token: str
    convert_tokens_to_ids: Any

    def read_sentencepiece(self, path: str) -> None:
        """Read `tokenizer.model` of a folder or hub id.

        Text is cut at the tokens that the other files add to it, and nowhere else.
        """
        model = _proto(path)
        settings = _json(path, "tokenizer_config.json")
        names = _added_tokens(settings, _json(path, "added_tokens.json"))
        added = {name: int(self.convert_tokens_to_ids(name)) for name in names}
        lead = None if settings.get("legacy") is not False else self.unk_token
        self.plain = _Reader(model, added, lead)
        self.typed = _TypedReader(model, added, lead)


class _Reader:
    """Ids of text by a sentencepiece model, cut at the `added` tokens first.

    With `lead`, the unknown token's text, only the first part gets a space before it.
    """

    def __init__(self, model: Any, added: Mapping[str, int], lead: str | None) -> None:
        self._bytes = model.SerializeToString()
        self._added = dict(added)
        self._lead = lead
        self._start()

    def _start(self) -> None:
        from sentencepiece import SentencePieceProcessor

        self._model = SentencePieceProcessor(model_proto=self._bytes)
        longest_first = sorted(self._added, key=len, reverse=True)
        self._cut = re.compile(f"({'|'.join(map(re.escape, longest_first)) or '(?!)'})")

    def __getstate__(self) -> tuple[bytes, dict[str, int], str | None]:
        return self._bytes, self._added, self._lead

    def __setstate__(self, state: tuple[bytes, dict[str, int], str | None]) -> None:
        self._bytes, self._added, self._lead = state
        self._start()

    def ids(self, text: str) -> list[int]:
        """Ids of a text without BOS."""
        found: list[int] = []
        for index, part in enumerate(self._cut.split(text)):
            if index % 2:
                found.append(self._added[part])
            elif part and self._lead is None:
                found += self._model.encode(part)
            elif part and self._lead is not None:
                skipped = len(self._model.encode(self._lead))
                space = "" if index else _SPACE
                found += self._model.encode(f"{self._lead}{space}{part}")[skipped:]
        return found


class _TypedReader(_Reader):
    """The same with every special token under a private spelling; see `typed_text`."""

    def __init__(self, model: Any, added: Mapping[str, int], lead: str | None) -> None:
        model = type(model).FromString(model.SerializeToString())
        symbols = {piece.piece for piece in model.pieces if piece.type == _USER_DEFINED}
        for piece in model.pieces:
            if piece.piece in symbols or (piece.type == _CONTROL and piece.piece in added):
                piece.piece = respelt(piece.piece)
        self._special = sorted(symbols | set(added))
        lead = respelt(lead) if lead is not None and lead in symbols else lead
        super().__init__(model, {respelt(name): number for name, number in added.items()}, lead)

    def __getstate__(self) -> Any:
        return super().__getstate__(), self._special

    def __setstate__(self, state: Any) -> None:
        plain, self._special = state
        super().__setstate__(plain)

    def spelt(self, text: str) -> str:
        """The text with the template's special tokens in their private spelling, marks removed."""
        return spell(text, any_of(self._special), any_of(()))


def defines_symbols(path: str) -> bool:
    """Whether the `tokenizer.model` of a folder or hub id defines symbols of its own."""
    if _file(path, "tokenizer.model") is None:
        return False
    return any(piece.type == _USER_DEFINED for piece in _proto(path).pieces)


def _proto(path: str) -> Any:
    formats: Any = importlib.import_module("sentencepiece.sentencepiece_model_pb2")
    return formats.ModelProto.FromString(Path(str(_file(path, "tokenizer.model"))).read_bytes())


def _added_tokens(settings: dict[str, Any], added: dict[str, Any]) -> set[str]:
    """The tokens at which the slow tokenizer cuts a text first."""
    names = {entry["content"] for entry in settings.get("added_tokens_decoder", {}).values()}
    for key in ("bos_token", "eos_token", "unk_token", "pad_token"):
        value = settings.get(key)
        names.add(value["content"] if isinstance(value, dict) else value or "")
    return {name for name in (*names, *added) if name}


def _json(path: str, name: str) -> dict[str, Any]:
    found = _file(path, name)
    content: dict[str, Any] = {}
    if found is not None:
        content = json.loads(Path(found).read_text(encoding="utf-8"))
    return content


def _file(path: str, name: str) -> str | None:
    """A file of a folder or hub id; None where there is none."""
    file = Path(path) / name
    if Path(path).is_dir():
        return str(file) if file.is_file() else None
    found: str | None = cached_file(path, name, _raise_exceptions_for_missing_entries=False)
    return found
