"""Tokenizers as the authors' code used them: text between images is tokenised piece by piece.

Upstream's `tokenizer_image_token` (haotian-liu/LLaVA, llava/mm_utils.py) splits a prompt at the
images and tokenises every piece as if it stood alone, which gives other ids than a special token
in the middle of one text would.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import transformers
from transformers import BatchEncoding
from transformers.models.auto.tokenization_auto import get_tokenizer_config
from vllm.tokenizers.hf import get_cached_tokenizer

from sensorium.model_adapters.base_model import tokenizer_folder
from sensorium.model_adapters.choices import with_family
from sensorium.model_adapters.conversation import choose_style, choose_text_style
from sensorium.model_adapters.engine.ends import stop_tokens
from sensorium.model_adapters.engine.legacy_tokenizers import load_legacy
from sensorium.model_adapters.engine.sentencepiece import SlowPieces, defines_symbols
from sensorium.model_adapters.engine.text_config import local_folder
from sensorium.model_adapters.engine.typed_text import TypedText
from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.language_models.text_models import find_text_model
from sensorium.model_adapters.prompt_style import (
    IMAGE_MARK,
    PIECE_MARK,
    USER_MARK,
    VIDEO_MARK,
    PromptStyle,
)
from sensorium.model_adapters.registry import FAMILY_KEY, Match, recognise
from sensorium.model_adapters.tokenizer_kinds import TiktokenFile

__all__ = [
    "IMAGE_MARK",
    "MODE",
    "TEXT_MODE",
    "ComposedTokenizer",
    "TextTokenizer",
    "load_text_tokenizer",
    "load_tokenizer",
]

# The tokenizer modes' names in vLLM's registries.
MODE = "sensorium"
TEXT_MODE = "sensorium-text"
_MARKS = re.compile(f"({re.escape(IMAGE_MARK)}|{re.escape(VIDEO_MARK)})")


class ComposedTokenizer:
    """What vLLM's tokenizer registry loads for composed models.

    `family` is set where a family was chosen by name; see `__getattr__` of this module.
    """

    family: ClassVar[str | None] = None

    @classmethod
    def from_pretrained(
        cls, path: str | Path, *args: Any, truncation_side: str = "left", **kwargs: Any
    ) -> Any:
        """The tokenizer of a checkpoint, wrapped as vLLM wraps any other."""
        revision = kwargs.get("revision")
        return get_cached_tokenizer(
            load_tokenizer(str(path), revision, cls.family, truncation_side=truncation_side)
        )


class TextTokenizer:
    """What vLLM's tokenizer registry loads for language models alone."""

    @classmethod
    def from_pretrained(
        cls, path: str | Path, *args: Any, truncation_side: str = "left", **kwargs: Any
    ) -> Any:
        """The tokenizer of a checkpoint, wrapped as vLLM wraps any other."""
        folder = local_folder(str(path), kwargs.get("revision"))
        return get_cached_tokenizer(load_text_tokenizer(folder, truncation_side=truncation_side))


def __getattr__(name: str) -> Any:
    """vLLM looks tokenizers up by name: `Tokenizer_NAME` is that of the family `NAME`."""
    _, separator, family = name.partition("Tokenizer_")
    if not separator:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return type(name, (ComposedTokenizer,), {"family": family})


def load_tokenizer(
    path: str, revision: str | None = None, family: str | None = None, **kwargs: Any
) -> Any:
    """The tokenizer of a checkpoint, with the marks and the family's chat template.

    `family` is the family's name where it was chosen.
    """
    match = _recognised(path, revision, family)
    kind = match.spec.tokenizer
    if kind.legacy is not None:
        kwargs["legacy"] = kind.legacy
    folder = Path(path) / kind.folder if kind.folder else tokenizer_folder(match, Path(path))
    legacy = match.language_model.tokenizer
    by_pieces = False
    if legacy is not None and (folder / legacy.file).is_file():
        base = load_legacy(folder, legacy, **kwargs)
    else:
        base = _load_base(str(folder), kind.slow_llama, revision, kwargs)
        by_pieces = kind.slow_llama and defines_symbols(str(folder))
    _add_trained_tokens(base, match, path)
    authors_tokens = len(base) if kind.cuts_vocabulary else None
    base.add_tokens([IMAGE_MARK, VIDEO_MARK], special_tokens=True)
    base.image_id = base.convert_tokens_to_ids(IMAGE_MARK)
    base.video_id = base.convert_tokens_to_ids(VIDEO_MARK)
    base.authors_tokens = authors_tokens
    llama = kind.slow_llama and type(base) is transformers.LlamaTokenizer
    base.slow_llama = llama and not by_pieces
    base.strips = kind.strips
    base.in_text, base.in_answers = kind.in_text, kind.in_answers
    style = choose_style(match, path)
    ends = stop_tokens(base, style.stops)
    if ends:
        base.eos_token = next(iter(ends))
    base.end_ids = list(ends.values())
    base.in_place = style.in_place
    pieces = str(folder) if by_pieces else None
    return _in_pieces(base, style, pieces, bos=kind.starts_with_bos)


def load_text_tokenizer(folder: Path, **kwargs: Any) -> Any:
    """The tokenizer of a text-only checkpoint, with its chat template if it was trained on one."""
    found = find_text_model(folder)
    if found is None:
        raise CheckpointError(
            f"{folder}: tokenizer mode {TEXT_MODE!r} is for text models in their authors' layout"
        )
    raw, model = found
    kind = model.language_model.tokenizer
    if kind is not None:
        base = load_legacy(folder, kind, **kwargs)
    else:
        base = _load_base(str(folder), False, None, kwargs)
    style = choose_text_style(raw, model, folder)
    if isinstance(kind, TiktokenFile) and kind.chat_end is not None and style is not None:
        base.eos_token = kind.chat_end
    base.end_ids = list(stop_tokens(base, style.stops if style is not None else ()).values())
    base.image_id = None
    return _in_pieces(base, style)


def _in_pieces(
    base: Any, style: PromptStyle | None, sentencepiece: str | None = None, *, bos: bool = False
) -> Any:
    """The tokenizer with our ways; `sentencepiece` is the folder whose model reads the pieces.

    With `bos` prompts start with the BOS token though the tokenizer puts none there.
    """
    first = base("a")["input_ids"][:1]
    adds_bos = bos or (base.bos_token_id is not None and first == [base.bos_token_id])
    base.chat_template = None if style is None else style.jinja(bos=adds_bos)
    base.__class__ = _piecewise(type(base), slow=sentencepiece is not None)
    if sentencepiece is not None:
        base.read_sentencepiece(sentencepiece)
    base.adds_bos = adds_bos
    return base


def _add_trained_tokens(tokenizer: Any, match: Match, path: str) -> None:
    """Add what the authors' loader adds by the config, where the files do not have it yet."""
    for token in match.spec.tokens_of(match.config):
        tokenizer.add_tokens([token], special_tokens=True)
        number = tokenizer.convert_tokens_to_ids(token)
        if number >= int(match.config.get("vocab_size", number + 1)):
            raise CheckpointError(
                f"{path}: the config speaks of a trained token {token!r}, which would have the id "
                f"{number}; the vocabulary has {match.config['vocab_size']} rows"
            )


def _recognised(path: str, revision: str | None, family: str | None) -> Match:
    raw: dict[str, Any]
    if (Path(path) / "config.json").is_file():
        raw = json.loads((Path(path) / "config.json").read_text(encoding="utf-8"))
    else:
        raw, _ = transformers.PreTrainedConfig.get_config_dict(path, revision=revision)
    chosen = with_family(raw, path) if family is None else {**raw, FAMILY_KEY: family}
    match = recognise(chosen)
    if match is None:
        raise CheckpointError(
            f"{path}: tokenizer mode {MODE!r} is for checkpoints in their authors' layout"
        )
    return match


def _load_base(path: str, slow_llama: bool, revision: str | None, kwargs: dict[str, Any]) -> Any:
    """Load by the class that the files call for.

    AutoTokenizer is not asked: it reads the model's config, which it takes for another model's, and
    then reads a sentencepiece folder without the space that belongs before the first word.
    """
    sentencepiece = not Path(path).is_dir() or (Path(path) / "tokenizer.model").is_file()
    named = _named_class(path, revision)
    if slow_llama and sentencepiece and named in (None, transformers.LlamaTokenizer):
        found = transformers.LlamaTokenizer
        if "legacy" not in get_tokenizer_config(path, revision=revision):
            kwargs = {"legacy": True, **kwargs}  # transformers 4's default, not 5's
    else:
        found = named or transformers.PreTrainedTokenizerFast
    fast = found is transformers.LlamaTokenizer and (Path(path) / "tokenizer.json").is_file()
    load = _fast_llama if fast and not slow_llama else found.from_pretrained
    try:
        return load(path, revision=revision, **kwargs)
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: its tokenizer cannot be read: {error}") from error


def _fast_llama(path: str, **kwargs: Any) -> Any:
    """A tokenizer.json as it is written, with the BOS token that its config asks for.

    That is what the fast Llama tokenizer of transformers 4 read; version 5's puts sentencepiece's
    splitting into it, which loses the spaces of a byte-level vocabulary.
    """
    found = transformers.PreTrainedTokenizerFast.from_pretrained(path, **kwargs)
    settings = get_tokenizer_config(path, revision=kwargs.get("revision"))
    if settings.get("add_bos_token", True):
        found.add_bos_token = True
    return found


def _named_class(path: str, revision: str | None) -> Any:
    name = get_tokenizer_config(path, revision=revision).get("tokenizer_class")
    return getattr(transformers, str(name), None)


class _Pieces:
    """Mixed into a tokenizer's class: pieces of text between marks stand alone."""

    # None in a model that takes no images.
    image_id: int | None
    video_id: int
    adds_bos: bool
    authors_tokens: int | None
    # Where an answer ends beside the end token.
    end_ids: list[int]
    # Whether images stand among the texts of a question as the request has them.
    in_place: bool
    bos_token: str
    bos_token_id: int
    truncation_side: str
    chat_template: str | None
    base: ClassVar[Any]
    backend_tokenizer: Any
    slow_llama: bool = False
    strips: bool = False
    symbols: Sequence[str] = ()
    in_text: str = ""
    in_answers: str = ""
    _typed: TypedText | None = None

    def encode(
        self,
        text: Any,
        *args: Any,
        add_special_tokens: bool = True,
        truncation: Any = None,
        max_length: int | None = None,
        **kwargs: Any,
    ) -> list[int]:
        """Ids of one text."""
        if not self._has_pieces(text):
            kwargs.update(truncation=truncation, max_length=max_length)
            found: list[int] = self.base.encode(
                self, text, *args, add_special_tokens=add_special_tokens, **kwargs
            )
            return found
        ids = self._piece_ids(text, add_special_tokens)
        if truncation and max_length is not None and len(ids) > max_length:
            keep_end = self.truncation_side == "left"
            ids = ids[len(ids) - max_length :] if keep_end else ids[:max_length]
        return ids

    def __call__(self, text: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Ids of one text or of several."""
        if self._has_pieces(text) and not kwargs.get("return_offsets_mapping"):
            options = ("add_special_tokens", "truncation", "max_length")
            ids = self.encode(text, **{key: kwargs[key] for key in options if key in kwargs})
            return BatchEncoding({"input_ids": ids, "attention_mask": [1] * len(ids)})
        if isinstance(text, list) and any(self._has_pieces(item) for item in text):
            rows = [self(item, *args, **kwargs) for item in text]
            keys = ("input_ids", "attention_mask")
            return BatchEncoding({key: [row[key] for row in rows] for key in keys})
        return self.base.__call__(self, text, *args, **kwargs)

    def convert_ids_to_tokens(self, ids: Any, *args: Any, **kwargs: Any) -> Any:
        """Texts of tokens; an empty one for rows of the model that the tokenizer does not have.

        Such a row may be chosen, or stand among the likeliest; vLLM takes no None.
        """
        found = self.base.convert_ids_to_tokens(self, ids, *args, **kwargs)
        if isinstance(found, list):
            return [token or "" for token in found]
        return found or ""

    def _has_pieces(self, text: Any) -> bool:
        if not isinstance(text, str):
            return False
        marked = self.image_id is not None and _MARKS.search(text) is not None
        return marked or USER_MARK in text or self._begins(text)

    def _begins(self, text: str) -> bool:
        """Whether the text spells out the BOS token, as chat templates do."""
        return self.adds_bos and text.startswith(self.bos_token)

    def _piece_ids(self, text: str, add_special_tokens: bool) -> list[int]:
        ids: list[int] = []
        if self._begins(text):
            # What follows is the start of a text, with the space that sentencepiece adds.
            ids.append(self.bos_token_id)
            text, add_special_tokens = text.removeprefix(self.bos_token), False
        typed = self._typed_text() if USER_MARK in text else None
        if typed is not None:
            text = typed.spelt(text)
        for index, piece in enumerate(self._between_marks(text)):
            if index % 2:
                ids += [self.image_id or 0] if piece == IMAGE_MARK else [self.video_id]
            elif typed is not None:
                for part in filter(None, piece.split(PIECE_MARK)):
                    ids += typed.ids(self._begun(part))
            else:
                ids += self._ids(self._begun(piece), add_special_tokens and not index)
        return ids

    def _begun(self, piece: str) -> str:
        """The piece with the space that sentencepiece adds also before a space."""
        return f" {piece}" if self.slow_llama and piece.startswith(" ") else piece

    def _between_marks(self, text: str) -> list[str]:
        """Pieces of text, and at odd places the marks between them."""
        return [text] if self.image_id is None else _MARKS.split(text)

    def _ids(self, piece: str, add_special_tokens: bool) -> list[int]:
        """Ids of a text without marks."""
        called = self.base.__call__(self, piece, add_special_tokens=add_special_tokens)
        found: list[int] = called["input_ids"]
        return found

    def _typed_text(self) -> Any:
        if self._typed is None:
            spaced = self.slow_llama and bool(getattr(self, "legacy", False))
            self._typed = TypedText(
                self.backend_tokenizer,
                spaced=spaced,
                strips=self.strips,
                symbols=self.symbols,
                in_text=self.in_text,
                in_answers=self.in_answers,
            )
        return self._typed

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.base, isinstance(self, SlowPieces), dict(self.__dict__))


class _SlowPieces(SlowPieces, _Pieces):
    """The same where sentencepiece itself has to read each piece."""

    def _has_pieces(self, text: Any) -> bool:
        return isinstance(text, str)

    def _ids(self, piece: str, add_special_tokens: bool) -> list[int]:
        start = [self.bos_token_id] if add_special_tokens and self.adds_bos else []
        return start + self.plain.ids(piece)

    def _typed_text(self) -> Any:
        return self.typed


_CLASSES: dict[Any, type] = {}


def _piecewise(base: Any, *, slow: bool = False) -> type:
    """The tokenizer class `base` with `_Pieces` mixed in."""
    if (base, slow) not in _CLASSES:
        name = f"{'Slow' if slow else ''}Piecewise{base.__name__}"
        mixed = _SlowPieces if slow else _Pieces
        _CLASSES[base, slow] = type(name, (mixed, base), {"base": base})
    return _CLASSES[base, slow]


def _restore(base: Any, slow: bool, state: dict[str, Any]) -> Any:
    tokenizer: Any = object.__new__(_piecewise(base, slow=slow))
    tokenizer.__dict__.update(state)
    return tokenizer
