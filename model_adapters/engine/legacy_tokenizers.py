"""Tokenizers of old checkpoints as fast tokenizers, without their authors' code."""

from __future__ import annotations

import base64
import binascii
import json
import re
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    normalizers,
    pre_tokenizers,
    processors,
)
from tokenizers import models as token_models
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode, import_protobuf
from transformers.tokenization_utils_base import generate_merges

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.tokenizer_kinds import (
    SentencePieceFile,
    TiktokenFile,
    TokenizerKind,
)

__all__ = ["load_legacy"]

_SPACE = "▁"
_BPE, _NORMAL, _CONTROL, _USER_DEFINED = 2, 1, 3, 4


def load_legacy(path: Path, kind: TokenizerKind, **options: Any) -> Any:
    """The tokenizer of a folder; raises CheckpointError where its file is absent or damaged."""
    file = path / kind.file
    if not file.is_file():
        raise CheckpointError(f"{path} has no tokenizer file {kind.file!r}")
    if isinstance(kind, TiktokenFile):
        return _from_tiktoken(file, kind, options)
    return _from_sentencepiece(file, kind, options)


def _from_tiktoken(file: Path, kind: TiktokenFile, options: dict[str, Any]) -> Any:
    """As QwenLM/Qwen's tokenization_qwen.py: NFC, then tiktoken."""
    letters = bytes_to_unicode()
    ranks = {
        "".join(letters[byte] for byte in token): rank for token, rank in _read_ranks(file).items()
    }
    tokenizer = Tokenizer(
        # A word that is a token by itself is that token, whatever its merges would give.
        token_models.BPE(ranks, _merges(ranks), fuse_unk=False, ignore_merges=True)
    )
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(kind.pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token in kind.special]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=kind.end, pad_token=kind.end, **options
    )


def _read_ranks(file: Path) -> dict[bytes, int]:
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        if not line:
            continue
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error):
            raise CheckpointError(
                f"{file}, line {number}: expected a token in base64 and its rank, got {line[:40]!r}"
            ) from None
    if sorted(ranks.values()) != list(range(len(ranks))):
        raise CheckpointError(f"{file}: the ranks are not 0 to {len(ranks) - 1}; fetch it again")
    return ranks


def _merges(ranks: dict[str, int]) -> list[tuple[str, str]]:
    """Every way to make a token of two others, the lowest rank first."""
    merges = [
        (rank, token[:cut], token[cut:])
        for token, rank in ranks.items()
        for cut in range(1, len(token))
        if token[:cut] in ranks and token[cut:] in ranks
    ]
    return [(left, right) for _, left, right in sorted(merges, key=lambda merge: merge[0])]


def _from_sentencepiece(file: Path, kind: SentencePieceFile, options: dict[str, Any]) -> Any:
    """As the authors' slow tokenizers: what sentencepiece gives for the text, after BOS."""
    model = _read_model(file)
    settings = _read_json(file.parent / "tokenizer_config.json")
    tokenizer = _sentencepiece_tokenizer(model)
    pieces = [piece.piece for piece in model.pieces]
    named = {
        name: _token(settings, name, pieces, number)
        for name, number in (
            ("bos_token", model.trainer_spec.bos_id),
            ("eos_token", model.trainer_spec.eos_id),
            ("unk_token", model.trainer_spec.unk_id),
        )
    }
    tokens = {name: token for name, token in named.items() if token is not None}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **tokens, **options)
    fast.symbols = _symbols(model)
    _add_tokens(fast, file.parent / "added_tokens.json")
    bos = tokens.get("bos_token")
    if bos is not None and settings.get("add_bos_token", kind.adds_bos):
        fast.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A",
            pair=f"{bos} $A {bos} $B",
            special_tokens=[(bos, fast.convert_tokens_to_ids(bos))],
        )
    return fast


def _read_model(file: Path) -> Any:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    model = import_protobuf().ModelProto()
    try:
        model.ParseFromString(file.read_bytes())
    except DecodeError:
        raise CheckpointError(f"{file} is no sentencepiece model") from None
    if not model.pieces or model.trainer_spec.model_type != _BPE:
        raise CheckpointError(f"{file} is no sentencepiece model of kind BPE")
    return model


def _symbols(model: Any) -> list[str]:
    return [piece.piece for piece in model.pieces if piece.type == _USER_DEFINED]


def _sentencepiece_tokenizer(model: Any) -> Tokenizer:
    spec = model.normalizer_spec
    symbols = _symbols(model)
    tokenizer = Tokenizer(
        token_models.BPE(
            {piece.piece: number for number, piece in enumerate(model.pieces)},
            generate_merges(
                {p.piece: number for number, p in enumerate(model.pieces) if p.type == _NORMAL},
                {p.piece: p.score for p in model.pieces if p.type == _NORMAL},
            ),
            unk_token=model.pieces[model.trainer_spec.unk_id].piece,
            fuse_unk=True,
            byte_fallback=model.trainer_spec.byte_fallback,
            # A symbol stands alone once the text is cut there, and no merges make it.
            ignore_merges=bool(symbols),
        )
    )
    steps: list[Any] = []
    if spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(spec.precompiled_charsmap))
    if spec.remove_extra_whitespaces:
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    if spec.add_dummy_prefix:
        steps.append(normalizers.Prepend(_SPACE))
    steps.append(normalizers.Replace(" ", _SPACE))
    tokenizer.normalizer = normalizers.Sequence(steps)
    if symbols:
        longest_first = sorted(symbols, key=len, reverse=True)
        tokenizer.pre_tokenizer = pre_tokenizers.Split(
            Regex("|".join(re.escape(symbol) for symbol in longest_first)), behavior="isolated"
        )
    ends: list[Any] = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if spec.add_dummy_prefix:
        ends.append(decoders.Strip(content=" ", left=1))
    tokenizer.decoder = decoders.Sequence(ends)
    tokenizer.add_special_tokens(
        [
            AddedToken(piece.piece, normalized=False, special=True)
            for piece in model.pieces
            if piece.type == _CONTROL
        ]
    )
    return tokenizer


def _token(settings: dict[str, Any], name: str, pieces: list[str], number: int) -> str | None:
    """A special token: as tokenizer_config.json says, or the model's own."""
    given = settings.get(name)
    if isinstance(given, dict):
        given = given.get("content")
    if given:
        return str(given)
    return pieces[number] if 0 <= number < len(pieces) else None


def _add_tokens(tokenizer: Any, file: Path) -> None:
    """Tokens that fine-tuning added; their ids must follow the model's."""
    for token, number in sorted(_read_json(file).items(), key=lambda entry: int(entry[1])):
        tokenizer.add_tokens([AddedToken(token, normalized=False, special=True)])
        if tokenizer.convert_tokens_to_ids(token) != number:
            raise CheckpointError(
                f"{file}: token {token!r} has id {number}; the tokenizer gives it "
                f"{tokenizer.convert_tokens_to_ids(token)}"
            )


def _read_json(file: Path) -> dict[str, Any]:
    content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return content if isinstance(content, dict) else {}
