"""A `tokenizer.json` for a Whisper that comes without one.

OpenAI's checkpoints hold weights only; their vocabulary is part of the `openai-whisper` package.
The text part of any Whisper's tokenizer of the same kind (English or multilingual) serves as well:
special tokens are numbered by the size of the model's vocabulary. Order of the special tokens, and
the format of `.tiktoken` files: openai/whisper, whisper/tokenizer.py.
"""

from __future__ import annotations

import base64
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.store import models_directory
from sensorium.model_adapters.whisper.facts import TIMESTAMPS
from sensorium.model_adapters.whisper.languages import LANGUAGES

__all__ = ["find_tokenizer", "is_multilingual"]

_ENGLISH_WORDS, _MULTILINGUAL_WORDS = 50_256, 50_257
_OTHER_SPECIALS = 1_509  # all special tokens but the languages
_KINDS = {True: "multilingual", False: "gpt2"}

Json = dict[str, Any]


def is_multilingual(vocab_size: int) -> bool:
    """Whether a Whisper of this many tokens knows more than English."""
    return vocab_size > 51_864


def find_tokenizer(checkpoint: Path, vocab_size: int) -> Json:
    """The content of a `tokenizer.json` for a model of `vocab_size` tokens.

    Looked for beside the checkpoint, in the `openai-whisper` package where it is installed, and in
    a Whisper that has been pulled. Raises CheckpointError saying what to do where there is none.
    """
    words = _MULTILINGUAL_WORDS if is_multilingual(vocab_size) else _ENGLISH_WORDS
    kind = _KINDS[is_multilingual(vocab_size)]
    for path in _places(checkpoint, kind):
        if path.is_file():
            found = _read(path)
            if len(found["vocab"]) == words:
                return _complete(found, vocab_size, words)
    raise CheckpointError(
        f"{checkpoint} holds no vocabulary, as OpenAI's files do not. Put the tokenizer.json of a "
        f"{'multilingual' if kind == 'multilingual' else 'English-only'} Whisper beside it, or "
        + ("run `sensorium pull whisper-base`, or " if kind == "multilingual" else "")
        + "`pip install openai-whisper`, and its vocabulary is taken"
    )


def _places(checkpoint: Path, kind: str) -> Iterator[Path]:
    for name in ("tokenizer.json", f"{kind}.tiktoken"):
        yield checkpoint.parent / name
    package = importlib.util.find_spec("whisper")
    for folder in (package.submodule_search_locations or ()) if package else ():
        yield Path(folder) / "assets" / f"{kind}.tiktoken"
    yield models_directory() / "whisper-base" / "tokenizer.json"


def _read(path: Path) -> Json:
    """The text part: `vocab` and `merges` as in a tokenizer.json."""
    if path.suffix == ".tiktoken":
        return _from_ranks(path)
    try:
        model = json.loads(path.read_text(encoding="utf-8"))["model"]
        # Special tokens have the ids after those of text, in whichever part they are written.
        text = {word: number for word, number in model["vocab"].items() if word[:2] != "<|"}
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is no tokenizer.json: {error!r}") from None
    return {"vocab": text, "merges": model["merges"]}


def _from_ranks(path: Path) -> Json:
    lines = path.read_bytes().splitlines()
    ranks = {base64.b64decode(word): int(rank) for word, rank in map(bytes.split, lines) if word}
    letters = _letters()
    vocab = {"".join(letters[byte] for byte in word): rank for word, rank in ranks.items()}
    merges = []
    for word in sorted(ranks, key=ranks.__getitem__):
        if len(word) > 1:
            left, right = _halves(word, ranks)
            merges.append(["".join(letters[byte] for byte in half) for half in (left, right)])
    return {"vocab": vocab, "merges": merges}


def _halves(word: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two pieces that were merged last into a word: merge what ranks below it."""
    parts = [bytes([byte]) for byte in word]
    while len(parts) > 2:
        pairs = [parts[at] + parts[at + 1] for at in range(len(parts) - 1)]
        known = [(ranks.get(pair, len(ranks)), at) for at, pair in enumerate(pairs)]
        rank, at = min(known)
        if rank >= ranks[word]:
            raise CheckpointError(f"the vocabulary cannot spell {word!r} from smaller pieces")
        parts[at : at + 2] = [pairs[at]]
    return parts[0], parts[1]


def _letters() -> list[str]:
    printable = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def _specials(vocab_size: int, words: int) -> list[str]:
    languages = list(LANGUAGES)[: vocab_size - words - _OTHER_SPECIALS]
    return [
        "<|endoftext|>",
        "<|startoftranscript|>",
        *(f"<|{code}|>" for code in languages),
        *("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>"),
        *("<|nospeech|>", "<|notimestamps|>"),
        *TIMESTAMPS,
    ]


def _complete(text: Json, vocab_size: int, words: int) -> Json:
    specials = _specials(vocab_size, words)
    if words + len(specials) != vocab_size:
        raise CheckpointError(
            f"a Whisper has {words + _OTHER_SPECIALS + 99} tokens or one more, got {vocab_size}"
        )
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": words + at, "content": name, **plain, "special": name not in TIMESTAMPS}
            for at, name in enumerate(specials)
        ],
        "normalizer": None,
        "pre_tokenizer": {**level, "use_regex": True},
        "post_processor": None,
        "decoder": {**level, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            **text,
        },
    }
