"""Tokens of a conversation count where the template writes them, not where a user types them.

A chat template here puts `USER_MARK` around everything that comes from a conversation. A second
copy of the tokenizer knows each special token under a private spelling only; what the template
wrote is put into that spelling before, so that a typed `</s>` is three characters and a slash.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tokenizers import Tokenizer

from sensorium.model_adapters.prompt_style import MARK_START, USER_MARK

__all__ = ["SPELLING", "TypedText", "respelt"]

# A noncharacter, as USER_MARK is: no text that people exchange holds it.
SPELLING = "\ufdd1"


class TypedText:
    """Turns the text of a chat into ids.

    `spaced`: after a special token a text begins anew, with the space that sentencepiece adds.
    Added tokens that the template `written` holds are treated as special ones.
    """

    def __init__(self, tokenizer: Tokenizer, *, spaced: bool = False, written: str = "") -> None:
        self._spaced = spaced
        content = json.loads(tokenizer.to_str())
        special = [
            str(token["content"])
            for token in content["added_tokens"]
            if not token["content"].startswith(MARK_START)
            and (token["special"] or (token["content"].strip() and token["content"] in written))
        ]
        _respell(content, set(special))
        self._tokenizer = Tokenizer.from_str(json.dumps(content))
        longest_first = sorted(special, key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._ids: dict[int | None, Any] = {
            self._tokenizer.token_to_id(respelt(token)): tokenizer.token_to_id(token)
            for token in special
        }

    def spelt(self, text: str) -> str:
        """The text with the template's special tokens in their private spelling, marks removed."""
        parts = text.replace(SPELLING, "").split(USER_MARK)
        parts[::2] = [
            self._special.sub(lambda found: respelt(found[0]), part) for part in parts[::2]
        ]
        text = "".join(parts)
        return text.replace(f"{SPELLING} ", f"{SPELLING}  ") if self._spaced else text

    def ids(self, spelt: str) -> list[int]:
        """Ids of text from `spelt`, or of a piece of it, without BOS."""
        found: list[int] = self._tokenizer.encode(spelt, add_special_tokens=False).ids
        return [self._ids.get(token, token) for token in found]


def respelt(token: str) -> str:
    """A special token's private spelling."""
    return f"{SPELLING}{token}{SPELLING}"


def _respell(content: dict[str, Any], special: set[str]) -> None:
    """Rename special tokens in a tokenizer's JSON, so that no other text makes them."""
    for token in content["added_tokens"]:
        if token["content"] in special:
            token["content"] = respelt(token["content"])
    model = content["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {
            respelt(token) if token in special else token: number
            for token, number in model["vocab"].items()
        }
    else:
        model["vocab"] = [
            [respelt(token) if token in special else token, score]
            for token, score in model["vocab"]
        ]
    if model.get("unk_token") in special:
        model["unk_token"] = respelt(model["unk_token"])
    if "merges" in model:
        model["merges"] = [merge for merge in model["merges"] if not _makes(merge, special)]


def _makes(merge: Any, special: set[str]) -> bool:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return bool({left, right, left + right} & special)
