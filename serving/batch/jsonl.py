"""Lines of JSON as rows: OpenAI's batch format, or bare bodies and lists of messages.

A line that is wrong becomes a row with a problem; the others go on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from sensorium.serving.batch.bodies import RowMaker
from sensorium.serving.batch.rows import ENDPOINTS, IdSet, Problem, Row

__all__ = ["read_jsonl"]

LONGEST_LINE = 512 << 20
_LONGEST_ID = 512
_TAKEN = (
    "an object with `custom_id`, `method`, `url` and `body`, a body with `messages`, "
    "or a list of messages"
)


def read_jsonl(path: Path, maker: RowMaker, *, strict: bool = False) -> Iterator[Row]:
    """The rows of a file; empty lines are none.

    `strict` takes OpenAI's batch format only, with every field there and `url` the maker's
    endpoint, as OpenAI's Batch API does.
    """
    seen = IdSet()
    number = 0
    with path.open("rb") as file:
        for line in _lines(file):
            if line is not None and (not line or line.isspace()):
                continue
            row = _read_line(number, line, maker, strict)
            if row.problem is None and row.custom_id is not None and not seen.add(row.custom_id):
                message = f"an earlier row has the custom_id {row.custom_id[:80]!r} too"
                row.problem = Problem("duplicate_custom_id", message, "custom_id")
            yield maker.finish(row)
            number += 1


def _lines(file: BinaryIO) -> Iterator[bytes | None]:
    """The file's lines; None for one that is too long to be held in memory."""
    while line := file.readline(LONGEST_LINE):
        if line.endswith(b"\n") or len(line) < LONGEST_LINE:
            yield line
            continue
        while (rest := file.readline(1 << 20)) and not rest.endswith(b"\n"):
            pass
        yield None


def _read_line(number: int, line: bytes | None, maker: RowMaker, strict: bool) -> Row:
    row = Row(number, None if strict else f"row-{number + 1}", maker.endpoint)
    if line is None:
        row.problem = Problem("line_too_long", f"the line has over {LONGEST_LINE:,} bytes")
        return row
    try:
        parsed = json.loads(line.decode("utf-8-sig" if number == 0 else "utf-8"))
    except UnicodeDecodeError as error:
        row.problem = Problem("invalid_json_line", f"not UTF-8 at byte {error.start}")
        return row
    except json.JSONDecodeError as error:
        text = f"This line is not parseable as valid JSON: {error.msg} at column {error.colno}"
        row.problem = Problem("invalid_json_line", text)
        return row
    except RecursionError:
        row.problem = Problem("invalid_json_line", "the line nests too deeply")
        return row
    if isinstance(parsed, list) and not strict:
        row.body = {"messages": parsed}
    elif not isinstance(parsed, dict):
        row.problem = Problem("invalid_row", f"a line must be {_TAKEN}")
    elif strict or "body" in parsed:
        _read_request(row, parsed, strict)
    else:
        _take_id(row, parsed.pop("custom_id", None), required=False)
        row.body = parsed
    return row


def _read_request(row: Row, parsed: dict[str, Any], strict: bool) -> None:
    _take_id(row, parsed.get("custom_id"), required=strict)
    if row.problem is not None:
        return
    method, url, body = parsed.get("method"), parsed.get("url"), parsed.get("body")
    if (method is None and strict) or method not in {None, "POST"}:
        row.problem = Problem("invalid_method", f"`method` must be POST, got {method!r}", "method")
    elif strict and url != row.url:
        message = f"`url` must be the endpoint of the batch, {row.url}; got {str(url)[:80]!r}"
        row.problem = Problem("mismatched_endpoint" if url else "invalid_url", message, "url")
    elif url is not None and url not in ENDPOINTS:
        message = f"`url` must be one of {', '.join(ENDPOINTS)}; got {str(url)[:80]!r}"
        row.problem = Problem("invalid_url", message, "url")
    elif not isinstance(body, dict):
        row.problem = Problem("invalid_body", "`body` must be an object", "body")
    else:
        row.url = url or row.url
        row.body = body


def _take_id(row: Row, custom_id: object, *, required: bool) -> None:
    if custom_id is None and not required:
        return
    if isinstance(custom_id, str) and 0 < len(custom_id) <= _LONGEST_ID:
        row.custom_id = custom_id
        return
    message = f"`custom_id` must be a text of 1 to {_LONGEST_ID} characters"
    row.problem = Problem("invalid_custom_id", message, "custom_id")
