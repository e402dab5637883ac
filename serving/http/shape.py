"""Small differences between vLLM 0.32's answers and OpenAI's schemas, mended in place.

Each was found by validating real answers against OpenAI's published description: optional fields
that are sent as null where the schema wants them absent, and required ones that are missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["conform", "conform_event"]

_NULL_MESSAGE_FIELDS = ("annotations", "audio", "function_call")
_NULL_RESPONSE_FIELDS = (
    "conversation",
    "prompt",
    "prompt_cache_key",
    "safety_identifier",
    "usage",
    "user",
)
_NULL_TOOL_FIELDS = ("allowed_callers", "async", "defer_loading", "description", "output_schema")
_NULL_FORMAT_FIELDS = ("description",)
_NULL_ITEM_FIELDS = ("async", "caller", "namespace", "phase")


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
        _drop_nulls(message, _NULL_MESSAGE_FIELDS)
    if isinstance(choice.get("logprobs"), dict):
        choice["logprobs"].setdefault("refusal", None)


def conform_event(event: dict[str, Any]) -> None:
    """Make an event of a /v1/responses stream fit: its item or part has the same differences."""
    if isinstance(event.get("item"), dict):
        _conform_item(event["item"])
    if isinstance(event.get("part"), dict):
        _conform_part(event["part"])


def _conform_response(answer: dict[str, Any]) -> None:
    _drop_nulls(answer, _NULL_RESPONSE_FIELDS)
    answer.setdefault("error", None)
    if answer.get("text") is None:
        answer["text"] = {"format": {"type": "text"}}
    if isinstance(answer["text"].get("format"), dict):
        _drop_nulls(answer["text"]["format"], _NULL_FORMAT_FIELDS)
    for tool in answer.get("tools") or ():
        _drop_nulls(tool, _NULL_TOOL_FIELDS)
    for item in answer.get("output") or ():
        _conform_item(item)


def _conform_item(item: dict[str, Any]) -> None:
    _drop_nulls(item, _NULL_ITEM_FIELDS)
    for part in item.get("content") or ():
        if isinstance(part, dict):
            _conform_part(part)


def _conform_part(part: dict[str, Any]) -> None:
    if part.get("logprobs", 0) is None:
        part["logprobs"] = []


def _drop_nulls(fields: dict[str, Any], names: Iterable[str]) -> None:
    for name in names:
        if name in fields and fields[name] is None:
            del fields[name]
