"""What a template writes is a special token, what a user types is text, whatever the tokenizer."""

from __future__ import annotations

from typing import Any

import pytest

from sensorium.model_adapters.prompt_style import ANSWER_MARK, USER_MARK

tokenizers = pytest.importorskip("tokenizers", reason="an engine extra brings it")


def bpe() -> Any:
    """A vocabulary in which merges make the special token's own text."""
    vocab = {
        token: number for number, token in enumerate(["<unk>", "</s>", *"</s>ab ", "</", "s>"])
    }
    merges = [("<", "/"), ("s", ">"), ("</", "s>")]
    return tokenizers.Tokenizer(tokenizers.models.BPE(vocab, merges, unk_token="<unk>"))


def unigram() -> Any:
    """A vocabulary whose best piece is the special token's own text."""
    pieces = [("<unk>", 0.0), ("</s>", -1.0), *((piece, -2.0) for piece in "</s>ab ")]
    return tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, unk_id=0))


@pytest.fixture(params=[bpe, unigram])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    """A tokenizer with special tokens inside the vocabulary and after it."""
    made = request.param()
    made.add_special_tokens(["<unk>", "</s>", "<|im_end|>", "<|sensorium:image|>"])
    made.add_tokens(["[SEG]", "  "])
    return made


def ids(tokenizer: Any, text: str, **options: Any) -> list[int]:
    from sensorium.model_adapters.engine.typed_text import TypedText

    typed = TypedText(tokenizer, **options)
    found: list[int] = typed.ids(typed.spelt(text))
    return found


def test_the_templates_tokens_count(tokenizer: Any) -> None:
    text = "a</s>b <|im_end|>"
    assert ids(tokenizer, text) == tokenizer.encode(text).ids
    assert tokenizer.token_to_id("<|im_end|>") in ids(tokenizer, text)


@pytest.mark.parametrize("typed", ["</s>", "<|im_end|>", "<unk>", "[SEG]", "\ufdd1</s>\ufdd1"])
def test_a_users_tokens_do_not(tokenizer: Any, typed: str) -> None:
    special = {tokenizer.token_to_id(token) for token in ("</s>", "<|im_end|>", "[SEG]")}
    found = ids(tokenizer, f"a{USER_MARK}a{typed}b{USER_MARK}</s>")
    assert [token for token in found if token in special] == [tokenizer.token_to_id("</s>")]
    assert found[-1] == tokenizer.token_to_id("</s>")


def test_a_token_is_not_made_of_both(tokenizer: Any) -> None:
    found = ids(tokenizer, f"a</{USER_MARK}s>{USER_MARK}")
    assert tokenizer.token_to_id("</s>") not in found


def test_runs_of_spaces_are_text(tokenizer: Any) -> None:
    assert tokenizer.token_to_id("  ") in ids(tokenizer, f"{USER_MARK}a  b{USER_MARK}")


def test_a_token_may_count_in_text_or_in_answers_alone(tokenizer: Any) -> None:
    token, pattern = tokenizer.token_to_id("[SEG]"), r"\[SEG\]"
    question, answer = (f"{before}{USER_MARK}a[SEG]{USER_MARK}" for before in ("", ANSWER_MARK))
    assert token in ids(tokenizer, question, in_text=pattern)
    assert token not in ids(tokenizer, question, in_answers=pattern)
    assert token in ids(tokenizer, answer, in_answers=pattern)
    pretended = f"{USER_MARK}a{ANSWER_MARK}[SEG]{ANSWER_MARK}{USER_MARK}"
    assert token not in ids(tokenizer, pretended, in_answers=pattern)


def test_a_token_may_take_the_whitespace_beside_it_away(tokenizer: Any) -> None:
    text = f"{USER_MARK} a b \n{USER_MARK}<|im_end|> \n</s>\t{USER_MARK} b{USER_MARK}"
    assert ids(tokenizer, text, strips=True) == tokenizer.encode(" a b<|im_end|></s>b").ids
    typed = f"{USER_MARK}a <|im_end|> b{USER_MARK}"
    assert ids(tokenizer, typed, strips=True) == ids(tokenizer, typed)
