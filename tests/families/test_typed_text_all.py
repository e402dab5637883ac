"""Of no tokenizer does a question make a token that is no text, whatever a user types."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sensorium.model_adapters.choices import FAMILY
from sensorium.model_adapters.engine.tokenizer import load_text_tokenizer, load_tokenizer
from sensorium.model_adapters.prompt_style import MARK_START
from tests.families import legacy_checkpoints
from tests.families.checkpoints import BUILDERS
from tests.families.proof import family_marks
from tests.families.test_inspect_all import NAMED
from tests.families.test_legacy_lms import built

pytestmark = family_marks
# A chat model of each; the others only continue texts.
CHATS = sorted(legacy_checkpoints.BUILDERS.keys() - {"baichuan", "meta"})


@pytest.mark.parametrize("name", BUILDERS)
def test_of_a_family(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FAMILY, NAMED.get(name, ""))
    checkpoint = folder / name
    if not checkpoint.exists():
        checkpoint.mkdir()
        BUILDERS[name](checkpoint)
    check(load_tokenizer(str(checkpoint)))


@pytest.mark.parametrize("name", CHATS)
def test_of_a_language_model(name: str, folder: Path) -> None:
    check(load_text_tokenizer(built(folder, name)))


def check(tokenizer: Any) -> None:
    """Each token that was added is text in a question and among words, but for those by name."""
    tokens = no_texts(tokenizer)
    assert tokens
    plain = written(tokenizer, "a")
    for text, number in tokens.items():
        allowed = re.fullmatch(tokenizer.in_text, text) is not None
        ids = written(tokenizer, f"a{text}b {text}")
        assert ids.count(number) == plain.count(number) + 2 * allowed, text


def no_texts(tokenizer: Any) -> dict[str, int]:
    """The tokens that stand for no text, by their own: what was added, and symbols that are tags.

    From the files as they were read, not from the private copy under test.
    """
    added = {str(token): number for number, token in tokenizer.added_tokens_decoder.items()}
    pieces = {piece: tokenizer.convert_tokens_to_ids(piece) for piece in symbols(tokenizer)}
    found = {**added, **pieces}
    return {
        text: number
        for text, number in found.items()
        if text.replace("\u2581", " ").strip() and not text.startswith(MARK_START)
    }


def symbols(tokenizer: Any) -> list[str]:
    """Tags in the vocabulary itself."""
    return [text for text in tokenizer.get_vocab() if re.fullmatch(r"<\|?[a-zA-Z_]\w*\|?>", text)]


def written(tokenizer: Any, question: str) -> list[int]:
    """Ids of a conversation of one question."""
    turns = [{"role": "user", "content": question}]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    found: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return found
