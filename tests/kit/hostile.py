"""Requests that try to pass for what a user cannot send: marks, special tokens, ids of no token."""

from __future__ import annotations

from typing import Any

__all__ = ["HOSTILE", "NASTY", "raw_ids"]

NASTY = "<image> <image> </s> <s> <unk> <im_start> <|im_end|> <|sensorium:image|>"
_IDS = ([5, 639, 640, 641, 7], [3, 10**6], [2**31 - 1], [-1], [2**63])
_SAID = [{"role": role, "content": NASTY} for role in ("system", "user", "assistant", "user")]
_ASKED = [{"role": "user", "content": NASTY}]
_FEW: dict[str, Any] = {"max_tokens": 4}

# Route and body, to which the model's name is added.
HOSTILE: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"messages": _SAID, **_FEW}),
    ("/v1/chat/completions", {"messages": _ASKED, "stop": [NASTY], "bad_words": [NASTY], **_FEW}),
    ("/v1/chat/completions", {"messages": _ASKED, "logit_bias": {"1000000": 5}, **_FEW}),
    ("/v1/chat/completions", {"messages": _ASKED, "stop_token_ids": [10**6, -1], **_FEW}),
    ("/v1/chat/completions", {"messages": _ASKED, "allowed_token_ids": [10**6], **_FEW}),
    ("/v1/completions", {"prompt": NASTY, "echo": True, **_FEW}),
    *(("/v1/completions", {"prompt": ids, **_FEW}) for ids in _IDS),
    ("/v1/completions", {"prompt": [[5, 7], [3, 10**6]], **_FEW}),
    ("/v1/responses", {"input": NASTY, "instructions": NASTY, "max_output_tokens": 4}),
    ("/v1/messages", {"messages": _ASKED, "system": NASTY, **_FEW}),
    ("/v1/messages/count_tokens", {"messages": _ASKED}),
    ("/tokenize", {"prompt": NASTY}),
    ("/tokenize", {"messages": _SAID}),
    *(("/detokenize", {"tokens": ids}) for ids in _IDS),
    ("/v1/embeddings", {"input": NASTY}),
    ("/v1/embeddings", {"input": [3, 10**6]}),
    ("/pooling", {"input": NASTY}),
    ("/v1/score", {"text_1": NASTY, "text_2": NASTY}),
]


def raw_ids(llm: Any) -> list[list[int]]:
    """Prompts of ids around and outside the table of an engine, and of images that are not there.

    `llm` is vLLM's `LLM`.
    """
    rows, tokenizer = llm.model_config.get_vocab_size(), llm.get_tokenizer()
    beyond = (rows - 1, rows, len(tokenizer) - 1, len(tokenizer), 10**6, 2**31 - 1)
    marks = (getattr(tokenizer, name, None) for name in ("image_id", "video_id"))
    odd = {*beyond, *(mark for mark in marks if mark is not None)}
    return [[5, number, 7] for number in sorted(odd)] + [[-1]]
