"""Tokenizer files of old language models, trained here, and read as their authors do."""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.families.tiny import train_sentencepiece, write_json

__all__ = [
    "aquila_tokenizer",
    "encode_aquila",
    "encode_qwen",
    "encode_sentencepiece",
    "encode_xverse",
    "qwen_tiktoken",
    "sentencepiece_model",
    "xverse_tokenizer",
]

Encode = Callable[[Path, str], list[int]]
_CORPUS = Path(__file__).resolve().parents[2] / "LICENSE"
_WORDS = """Human: Assistant: user assistant system What is it? Who are you? Tell me more.
You are a helpful assistant. A chat between a curious human and an AI assistant.
你好，你是谁？ 今天天气怎么样？
"""
# From QwenLM/Qwen, tokenization_qwen.py.
_QWEN_WORDS = (
    r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"""
    r"""|\s*[\r\n]+|\s+(?!\S)|\s+"""
)
_QWEN_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + [
    f"<|extra_{i}|>" for i in range(205)
]


def _corpus() -> str:
    return _CORPUS.read_text(encoding="utf-8") + _WORDS * 20


def _byte_level(words: Any, special: list[str], size: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = words
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=_alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus().splitlines(keepends=True), trainer)
    return tokenizer


def _alphabet() -> list[str]:
    from tokenizers import pre_tokenizers

    return list(pre_tokenizers.ByteLevel.alphabet())


def qwen_tiktoken(folder: Path) -> None:
    """qwen.tiktoken: byte sequences in base64 and their ranks."""
    from tokenizers import Regex, pre_tokenizers
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    words = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    vocabulary = _byte_level(words, [], 556).get_vocab()
    byte_of = {letter: byte for byte, letter in bytes_to_unicode().items()}
    lines = []
    for token, rank in sorted(vocabulary.items(), key=lambda entry: entry[1]):
        content = bytes(byte_of[letter] for letter in token)
        lines.append(f"{base64.b64encode(content).decode()} {rank}")
    (folder / "qwen.tiktoken").write_text("\n".join(lines) + "\n")
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "QWenTokenizer"})


def encode_qwen(folder: Path, text: str) -> list[int]:
    """As tokenization_qwen.py: NFC, then tiktoken with every special token allowed."""
    import tiktoken

    ranks = {}
    for line in (folder / "qwen.tiktoken").read_bytes().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    special = {token: index for index, token in enumerate(_QWEN_SPECIAL, start=len(ranks))}
    encoding = tiktoken.Encoding(
        "Qwen", pat_str=_QWEN_WORDS, mergeable_ranks=ranks, special_tokens=special
    )
    return list(encoding.encode(unicodedata.normalize("NFC", text), allowed_special="all"))


def sentencepiece_model(
    folder: Path,
    *,
    dummy_prefix: bool,
    symbols: tuple[str, ...] = (),
    bos: bool | None = None,
) -> None:
    """tokenizer.model; with `bos`, a tokenizer_config.json that says whether BOS comes first."""
    train_sentencepiece(
        folder,
        _corpus(),
        add_dummy_prefix=dummy_prefix,
        allow_whitespace_only_pieces=True,
        user_defined_symbols=[*symbols],
    )
    if bos is not None:
        special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
        write_json(folder / "tokenizer_config.json", {**special, "add_bos_token": bos})


def encode_sentencepiece(folder: Path, text: str) -> list[int]:
    """sentencepiece itself, without BOS."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    return list(processor.encode(text))


def xverse_tokenizer(folder: Path) -> None:
    """tokenizer.json, as XVERSE's; no BOS."""
    from tokenizers import pre_tokenizers

    special = ["<pad>", "<unk>", "<|startoftext|>", "<|endoftext|>"]
    words = pre_tokenizers.ByteLevel(add_prefix_space=False)
    _byte_level(words, special, 600).save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {
            "bos_token": special[2],
            "eos_token": special[3],
            "pad_token": special[0],
            "unk_token": special[1],
            "tokenizer_class": "PreTrainedTokenizerFast",
        },
    )


def encode_xverse(folder: Path, text: str) -> list[int]:
    """tokenizer.json as the tokenizers library reads it."""
    from tokenizers import Tokenizer

    return list(Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids)


def aquila_tokenizer(folder: Path) -> None:
    """vocab.json and merges.txt, as GPT-2's, with Aquila's own special tokens at the end."""
    import json

    from tokenizers import pre_tokenizers

    special = ["<|startofpiece|>", "<|endofpiece|>", "[UNK]", "[CLS]", "</s>"]
    tokenizer = _byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), [], 560)
    tokenizer.model.save(str(folder))
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    first = len(vocabulary)
    write_json(folder / "added_tokens.json", {token: first + n for n, token in enumerate(special)})
    decoder = {
        str(first + n): {
            "content": token,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": True,
        }
        for n, token in enumerate(special)
    }
    write_json(
        folder / "tokenizer_config.json",
        {
            "add_prefix_space": False,
            "added_tokens_decoder": decoder,
            "bos_token": "[CLS]",
            "eos_token": "</s>",
            "unk_token": "[UNK]",
            "tokenizer_class": "GPT2Tokenizer",
        },
    )


def encode_aquila(folder: Path, text: str) -> list[int]:
    """GPT-2's tokenisation of the text between special tokens."""
    import json
    import re

    from tokenizers import Tokenizer, models, pre_tokenizers

    model = models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    added = json.loads((folder / "added_tokens.json").read_text())
    ids: list[int] = []
    for piece in re.split("(" + "|".join(map(re.escape, added)) + ")", text):
        ids += [added[piece]] if piece in added else tokenizer.encode(piece).ids
    return ids
