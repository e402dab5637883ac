"""Answers end at every stop of a conversation style that is a token of its own.

vLLM ends an answer at its tokenizer's end token and at those of the checkpoint's generation config.
A text to stop at does not help with others: no text shows a special token.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

__all__ = ["end_at_stops", "stop_tokens"]


def stop_tokens(tokenizer: Any, stops: Iterable[str]) -> dict[str, int]:
    """The stops that were added to the vocabulary, and their ids."""
    known = tokenizer.get_added_vocab()
    return {stop: known[stop] for stop in stops if stop in known}


def end_at_stops() -> None:
    """Make vLLM add a configuration's `end_ids` to the generation config; harmless if repeated."""
    from vllm.config import ModelConfig

    original = ModelConfig.try_get_generation_config
    if hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    def with_ends(self: Any) -> dict[str, Any]:
        found: dict[str, Any] = original(self)
        more = getattr(self.hf_config, "end_ids", ())
        if more:
            said = found.get("eos_token_id")
            known = said if isinstance(said, list) else [] if said is None else [said]
            found["eos_token_id"] = sorted({*known, *more})
        return found

    ModelConfig.try_get_generation_config = with_ends
