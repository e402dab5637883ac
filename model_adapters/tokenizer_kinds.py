"""Tokenizer files that transformers reads only with their authors' code, as data.

`engine.legacy_tokenizers` builds a tokenizer from them. Nothing here imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SentencePieceFile", "TiktokenFile", "TokenizerKind"]


@dataclass(frozen=True)
class TiktokenFile:
    """A file of byte sequences and ranks; special tokens take the ids after the last rank.

    `pattern` cuts a text into words, after NFC. `end` is the end-of-sequence token, `chat_end` that
    of a text model that was trained on conversations.
    """

    file: str
    pattern: str
    special: tuple[str, ...]
    end: str
    chat_end: str | None = None


@dataclass(frozen=True)
class SentencePieceFile:
    """A sentencepiece model whose own settings count (dummy prefix, white space, symbols).

    `adds_bos` is the authors' class's default; `add_bos_token` in tokenizer_config.json overrides
    it.
    """

    file: str = "tokenizer.model"
    adds_bos: bool = True


TokenizerKind = TiktokenFile | SentencePieceFile
