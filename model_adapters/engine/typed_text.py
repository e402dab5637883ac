"""Tokens of a conversation count where the template writes them, not where a user types them.

A chat template here puts `USER_MARK` around everything that comes from a conversation. A second
copy of the tokenizer knows each such token under a private spelling only; what the template wrote
is put into that spelling before, so that a typed `</s>` is three characters and a slash.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer

from sensorium.model_adapters.prompt_style import ANSWER_MARK, MARK_START, USER_MARK

__all__ = ["TypedText", "any_of", "respelt", "spell"]

# A noncharacter, as USER_MARK is: no text that people exchange holds it.
SPELLING = "\ufdd1"
# How sentencepiece writes a space.
_SPACE = "\u2581"
_AMONG_WHITESPACE = re.compile(rf"\s*({SPELLING}[^{SPELLING}]+{SPELLING})\s*")
# Symbols of a sentencepiece model that stand for no text; others may be digits or spaces.
_TAG = re.compile(r"[<\[].+[>\]]", re.DOTALL)


class TypedText:
    """Turns the text of a chat into ids.

    Private are all tokens that were added to the vocabulary, but for runs of spaces, and of the
    `symbols` at which the tokenizer cuts a text those that are tags. What the pattern `in_text`
    matches is a token wherever it stands, what `in_answers` matches in earlier answers too.
    `spaced`: after a private token a text begins anew, with the space that sentencepiece adds.
    `strips`: a private token takes the whitespace on both of its sides away.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        spaced: bool = False,
        strips: bool = False,
        symbols: Sequence[str] = (),
        in_text: str = "",
        in_answers: str = "",
    ) -> None:
        self._spaced, self._strips = spaced, strips
        content = json.loads(tokenizer.to_str())
        added = [str(token["content"]) for token in content["added_tokens"]]
        private = [
            token
            for token in [*filter(_stands_for_no_text, added), *filter(_TAG.fullmatch, symbols)]
            if not re.fullmatch(in_text, token)
        ]
        _respell(content, set(private))
        if symbols:
            _cut_at(content, [respelt(it) if it in private else it for it in symbols])
        self._tokenizer = Tokenizer.from_str(json.dumps(content))
        self._private = any_of(private)
        self._in_answers = any_of([it for it in private if re.fullmatch(in_answers, it)])
        self._ids: dict[int | None, Any] = {
            self._tokenizer.token_to_id(respelt(token)): tokenizer.token_to_id(token)
            for token in private
        }

    def spelt(self, text: str) -> str:
        """The text with the template's private tokens in their private spelling, marks removed."""
        text = spell(text, self._private, self._in_answers)
        if self._strips:
            text = _AMONG_WHITESPACE.sub(r"\1", text)
        return text.replace(f"{SPELLING} ", f"{SPELLING}  ") if self._spaced else text

    def ids(self, spelt: str) -> list[int]:
        """Ids of text from `spelt`, or of a piece of it, without BOS."""
        found: list[int] = self._tokenizer.encode(spelt, add_special_tokens=False).ids
        return [self._ids.get(token, token) for token in found]


def spell(text: str, template: re.Pattern[str], answers: re.Pattern[str]) -> str:
    """Put what the template wrote into private spelling, and of answers what `answers` finds.

    The marks are removed.
    """
    parts = text.replace(SPELLING, "").split(USER_MARK)
    for index in range(1, len(parts), 2):
        if parts[index - 1].endswith(ANSWER_MARK):
            parts[index] = answers.sub(_respelt_match, parts[index])
    for index in range(0, len(parts), 2):
        parts[index] = template.sub(_respelt_match, parts[index].replace(ANSWER_MARK, ""))
    return "".join(parts)


def any_of(tokens: Sequence[str]) -> re.Pattern[str]:
    """A pattern of the tokens, the longest first; it finds nothing where there are none."""
    longest_first = sorted(tokens, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")


def _respelt_match(found: re.Match[str]) -> str:
    return respelt(found[0])


def respelt(token: str) -> str:
    """A special token's private spelling."""
    return f"{SPELLING}{token}{SPELLING}"


def _stands_for_no_text(token: str) -> bool:
    blank = not token.replace(_SPACE, " ").strip()
    return not blank and not token.startswith(MARK_START)


def _cut_at(content: dict[str, Any], symbols: Sequence[str]) -> None:
    """Set the symbols at which the tokenizer's JSON cuts a text before it tokenises the parts."""
    content["pre_tokenizer"]["pattern"] = {"Regex": any_of(symbols).pattern}


def _respell(content: dict[str, Any], private: set[str]) -> None:
    """Rename private tokens in a tokenizer's JSON, so that no other text makes them."""
    for token in content["added_tokens"]:
        if token["content"] in private:
            token["content"] = respelt(token["content"])
    model = content["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {
            respelt(token) if token in private else token: number
            for token, number in model["vocab"].items()
        }
    else:
        model["vocab"] = [
            [respelt(token) if token in private else token, score]
            for token, score in model["vocab"]
        ]
    if model.get("unk_token") in private:
        model["unk_token"] = respelt(model["unk_token"])
    if "merges" in model:
        model["merges"] = [merge for merge in model["merges"] if not _makes(merge, private)]


def _makes(merge: Any, private: set[str]) -> bool:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return bool({left, right, left + right} & private)
