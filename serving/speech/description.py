"""The two routes in /openapi.json, in place of what vLLM's app says of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from sensorium.serving.speech.app import SPEECH_ROUTES
from sensorium.serving.speech.request import FORMATS

__all__ = ["with_speech"]

_TEXT = {"type": "string"}
_COMMON: dict[str, Any] = {
    "file": {"type": "string", "format": "binary"},
    "model": _TEXT,
    "prompt": _TEXT,
    "response_format": {"type": "string", "enum": list(FORMATS), "default": "json"},
    "temperature": {"type": "number", "minimum": 0, "maximum": 1, "default": 0},
    "language": {"type": "string", "description": "A code (de) or an English name (german)"},
    "stream": {"type": "boolean", "default": False},
    "chunking_strategy": {
        "type": "string",
        "enum": ["auto", "sequential"],
        "description": "sequential: window after window; auto: pieces side by side",
    },
    "condition_on_previous_text": {"type": "boolean", "default": True},
    "channel": {"type": "integer", "minimum": 0, "description": "This channel only, from 0"},
    "seed": {"type": "integer", "minimum": 0},
}
_TRANSCRIPTION = {
    **_COMMON,
    "languages[]": {"type": "array", "items": _TEXT},
    "keywords[]": {"type": "array", "items": _TEXT},
    "timestamp_granularities[]": {
        "type": "array",
        "items": {"type": "string", "enum": ["word", "segment"]},
    },
    "include[]": {"type": "array", "items": {"type": "string", "enum": ["logprobs"]}},
}


def with_speech(description: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of an app's OpenAPI description with our routes in it."""
    out = copy.deepcopy(dict(description))
    paths = out.setdefault("paths", {})
    for path, task in SPEECH_ROUTES.items():
        paths[path] = {"post": _operation(task)}
    return out


def _operation(task: str) -> dict[str, Any]:
    fields = _TRANSCRIPTION if task == "transcribe" else _COMMON
    words = {"transcribe": "Write down speech", "translate": "Write down speech in English"}
    schema = {"type": "object", "required": ["file"], "properties": fields}
    answer = {"type": "object", "required": ["text"], "properties": {"text": _TEXT}}
    return {
        "summary": words[task],
        "operationId": f"speech_{task}",
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}},
        "responses": {
            "200": {
                "description": "The text, in the format asked for",
                "content": {
                    "application/json": {"schema": answer},
                    "text/plain": {"schema": _TEXT},
                    "text/vtt": {"schema": _TEXT},
                    "text/event-stream": {"schema": _TEXT},
                },
            }
        },
    }
