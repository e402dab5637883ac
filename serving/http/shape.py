"""Small differences between vLLM 0.32's answers and OpenAI's schemas, mended in place.

Each was found by validating real answers against OpenAI's published description: optional fields
that are sent as null where the schema wants them absent, and required ones that are missing.
"""

from __future__ import annotations

from typing import Any

__all__ = ["conform"]

_NULL_MESSAGE_FIELDS = ("annotations", "audio", "function_call")
_NULL_RESPONSE_FIELDS = ("user", "prompt", "prompt_cache_key", "safety_identifier", "conversation")


def conform(answer: dict[str, Any]) -> None:
    """Make an answer (or a stream's chunk) fit the schema of its `object`."""
    kind = answer.get("object")
    if kind in {"chat.completion", "chat.completion.chunk"}:
        for choice in answer.get("choices", ()):
            _conform_choice(choice)
    elif kind == "response":
        _conform_response(answer)
    usage = answer.get("usage")
    if isinstance(usage, dict) and usage.get("completion_tokens_details", 0) is None:
        del usage["completion_tokens_details"]


def _conform_choice(choice: dict[str, Any]) -> None:
    message = choice.get("message")
    if isinstance(message, dict):
        for name in _NULL_MESSAGE_FIELDS:
            if name in message and message[name] is None:
                del message[name]
    if isinstance(choice.get("logprobs"), dict):
        choice["logprobs"].setdefault("refusal", None)


def _conform_response(answer: dict[str, Any]) -> None:
    for name in _NULL_RESPONSE_FIELDS:
        if name in answer and answer[name] is None:
            del answer[name]
    answer.setdefault("error", None)
    if answer.get("text") is None:
        answer["text"] = {"format": {"type": "text"}}
    for item in answer.get("output", ()):
        for part in item.get("content") or ():
            if isinstance(part, dict) and part.get("logprobs", 0) is None:
                part["logprobs"] = []
