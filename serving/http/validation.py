"""One clear sentence for a request body of the wrong shape, instead of pydantic's report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response

from sensorium.serving.errors import BadRequestError

__all__ = ["answer_validation_error", "describe_validation_error"]


async def answer_validation_error(request: Request, error: Exception) -> Response:
    """FastAPI exception handler for `RequestValidationError`."""
    if not isinstance(error, RequestValidationError):
        raise error
    wrong = describe_validation_error(error.errors())
    return JSONResponse(wrong.body(), wrong.status)


def describe_validation_error(errors: Sequence[Any]) -> BadRequestError:
    """The first of pydantic's findings, said plainly: the field, what came, what was wanted."""
    if not errors:
        return BadRequestError("The request body does not fit the schema; see /docs")
    first = errors[0]
    path = _field_path(first.get("loc", ()))
    message = str(first.get("msg", "invalid")).removeprefix("Value error, ")
    if first.get("type") == "missing":
        text = f"Missing required field `{path}`"
    else:
        text = f"Invalid `{path}`: {message}" if path else message
        if first.get("type") != "value_error" and "input" in first:
            text += f"; got {_shown(first['input'])}"
    more = len({_field_path(other.get("loc", ())) for other in errors}) - 1
    if more > 0:
        text += f" (and {more} more field{'s' if more > 1 else ''})"
    return BadRequestError(text, param=path or None)


def _field_path(location: Sequence[Any]) -> str:
    """`messages.0.content` from pydantic's path, without its names for wrappers and branches."""
    kept = [str(step) for step in location if not _is_internal(step)]
    if kept and kept[0] == "body":
        kept = kept[1:]
    return ".".join(kept)


def _is_internal(step: Any) -> bool:
    if isinstance(step, int):
        return False
    words = {"str", "int", "float", "bool", "list", "dict", "none", "nullable", "union", "chain"}
    return step in words or any(mark in step for mark in "[](){}-") or step[:1].isupper()


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "..."
