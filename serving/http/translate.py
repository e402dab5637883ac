"""Turn what a vLLM app answers into what OpenAI's clients expect: error objects and usage.

vLLM 0.32 sends `code` as a number and `type` as a Python-like class name, and 401 as a bare
string; OpenAI's `ErrorResponse` schema has `code` as a string or null and a small set of types.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any

from sensorium.serving.http.shape import conform, conform_event
from sensorium.serving.http.usage import complete_usage
from sensorium.serving.media.times import RequestTimes

__all__ = ["translate_error", "translate_event", "translate_success"]

_TYPES = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    403: "invalid_request_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    409: "invalid_request_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}
# vLLM means "the client asked for what is not there" by these; clients must not retry them.
_STATUS = {422: 400, 501: 400}
_CONTEXT_LENGTH = re.compile(r"maximum (?:model|context) length|longer than the maximum", re.I)
_VLLM_SUFFIX = re.compile(r" \(parameter=[^()]*(?:\([^()]*\)[^()]*)*\)$", re.S)
_MODEL_MISSING = re.compile(r"model `?[^`]*`? does not exist", re.I)


def translate_error(status: int, body: bytes) -> tuple[int, bytes]:
    """The status and body to send for an error that a model's app answered."""
    message, param, code, kind = _read_error(body)
    status = _STATUS.get(status, status)
    message = _VLLM_SUFFIX.sub("", message) or HTTPStatus(status).phrase
    error = _error_object(status, message, param, code, kind)
    return status, json.dumps({"error": error}).encode()


def _read_error(body: bytes) -> tuple[str, str | None, str | None, str | None]:
    try:
        parsed = json.loads(body) if body else {}
    except ValueError:
        return body.decode("utf-8", "replace")[:1000], None, None, None
    inner = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
    if not isinstance(inner, dict):
        return str(inner), None, None, None
    message = inner.get("message") or inner.get("detail") or ""
    code = inner.get("code")
    return (
        str(message),
        inner.get("param"),
        code if isinstance(code, str) else None,
        inner.get("type"),
    )


def _error_object(
    status: int, message: str, param: str | None, code: str | None, kind: str | None
) -> dict[str, Any]:
    if code is None and status < 500:
        if _CONTEXT_LENGTH.search(message):
            code, param = "context_length_exceeded", _param_of_length(param)
        elif _MODEL_MISSING.search(message):
            code, param = "model_not_found", "model"
    known = kind in {"invalid_request_error", "rate_limit_error", "server_error"}
    return {
        "message": message,
        "type": kind if known else _TYPES.get(status, "server_error"),
        "param": param.removeprefix("body.") if isinstance(param, str) else None,
        "code": code,
    }


def _param_of_length(param: str | None) -> str:
    """vLLM calls an over-long prompt `input_tokens` or `input_text`; the field is `messages`."""
    return "messages" if param in {None, "input_tokens", "input_text"} else str(param)


def translate_success(body: bytes, times: RequestTimes | None = None) -> bytes:
    """A JSON answer with its usage completed and its shape OpenAI's; others are left alone.

    With `times` it also says how long the request took.
    """
    if b'"usage"' not in body:
        return body
    answer = json.loads(body)
    if not isinstance(answer, dict):
        return body
    _complete(answer, times)
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()


def _complete(answer: dict[str, Any], times: RequestTimes | None) -> None:
    engine = answer.pop("metrics", None)
    if times is not None:
        answer["timings"] = times.report(engine)
    if isinstance(answer.get("usage"), dict):
        complete_usage(answer["usage"])
    conform(answer)


_WORTH_PARSING = re.compile(
    rb'"usage": ?\{|"logprobs": ?\{|"object": ?"response"'
    rb'|"type": ?"response\.(?:output_item|content_part)\.'
)
_ERROR_EVENT = re.compile(rb'data: ?\{"error"')


def translate_event(event: bytes, times: RequestTimes | None = None) -> bytes:
    """One server-sent event with usage, shape and errors translated.

    Nearly all events hold nothing to translate and are passed on untouched.
    """
    failed = _ERROR_EVENT.match(event)
    if not failed and not _WORTH_PARSING.search(event):
        return event
    prefix, _, data = event.partition(b"data:")
    try:
        parsed = json.loads(data)
    except ValueError:
        return event
    if failed:
        inner = parsed["error"]
        status = inner.get("code") if isinstance(inner, dict) else None
        _, body = translate_error(status if isinstance(status, int) else 500, data)
        return prefix + b"data: " + body + b"\n\n"
    # The Responses API wraps the whole answer in each of its events.
    whole = parsed["response"] if isinstance(parsed.get("response"), dict) else parsed
    # A stream's times are known in its last chunk, which is the one with the usage.
    _complete(whole, times if isinstance(whole.get("usage"), dict) else None)
    conform_event(parsed)
    return prefix + b"data: " + json.dumps(parsed, ensure_ascii=False).encode() + b"\n\n"
