"""Finished rows as lines of the output, in the form of OpenAI's Batch API."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sensorium.serving.batch.rows import Problem, Row
from sensorium.serving.batch.target import Reply

__all__ = ["Finished", "Tokens", "finish_with_problem", "finish_with_reply"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a request cost, as its `usage` tells."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished row: its line, newline included, and the file it belongs to."""

    line: bytes
    answered: bool
    tokens: Tokens = Tokens()


def finish_with_problem(row_id: str, row: Row, problem: Problem) -> Finished:
    """A row that got no answer."""
    error: dict[str, Any] = {"code": problem.code, "message": problem.message}
    if problem.param is not None:
        error["param"] = problem.param
    # OpenAI's lines have no row number, but without a custom_id nothing else says which row it is.
    where = {"line": row.number + 1} if row.custom_id is None else {}
    record = {"id": row_id, "custom_id": row.custom_id, "response": None, "error": error, **where}
    return Finished(_dump(record) + b"\n", answered=False)


def finish_with_reply(row_id: str, row: Row, reply: Reply) -> Finished:
    """A row that was answered, well (status below 400) or with an error that is final."""
    tokens = Tokens()
    raw: bytes
    try:
        body = json.loads(reply.body)
    except ValueError:
        # Transcriptions may be asked for as plain text or subtitles.
        raw = _dump(reply.body.decode("utf-8", "replace"))
    else:
        # What came on one line is written as it came.
        raw = reply.body.strip()
        if b"\n" in raw or b"\r" in raw or not _is_utf8(raw):
            raw = _dump(body)
        tokens = _tokens(body)
    head = _dump({"id": row_id, "custom_id": row.custom_id})[:-1]
    middle = _dump({"status_code": reply.status, "request_id": reply.request_id or ""})[:-1]
    line = head + b', "response": ' + middle + b', "body": ' + raw + b'}, "error": null}\n'
    return Finished(line, answered=reply.status < 400, tokens=tokens)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _tokens(body: Any) -> Tokens:
    usage = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(usage, dict):
        return Tokens()
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    prompt = usage.get("prompt_tokens", usage.get("input_tokens"))
    completion = usage.get("completion_tokens", usage.get("output_tokens"))
    return Tokens(*(n if isinstance(n, int) else 0 for n in (prompt, completion, cached)))


def _dump(value: object) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return json.dumps(value).encode()
