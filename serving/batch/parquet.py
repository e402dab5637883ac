"""The lines of a finished batch as one Parquet file."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from pathlib import Path
from typing import Any

from sensorium.serving.batch.errors import OutputError
from sensorium.serving.batch.journal import fsync_folder
from sensorium.serving.batch.tables import import_pyarrow

__all__ = ["lines_to_parquet"]

_GROUP_ROWS = 4096


def lines_to_parquet(lines: Path, output: Path) -> None:
    """Write the answers in `lines` to `output`, a group of rows at a time, whole or not at all.

    Columns: `custom_id`, `row` (from 0), `text` (the answer, where it is text), `status_code`,
    `prompt_tokens`, `completion_tokens`, `body` (the whole answer as JSON). Raises OutputError.
    """
    pyarrow = import_pyarrow()
    schema = pyarrow.schema(
        [
            ("custom_id", pyarrow.string()),
            ("row", pyarrow.int64()),
            ("text", pyarrow.string()),
            ("status_code", pyarrow.int32()),
            ("prompt_tokens", pyarrow.int64()),
            ("completion_tokens", pyarrow.int64()),
            ("body", pyarrow.string()),
        ]
    )
    partial = output.with_name(f".{output.name}.partial")
    try:
        with lines.open("rb") as source, pyarrow.parquet.ParquetWriter(partial, schema) as writer:
            while group := list(itertools.islice(source, _GROUP_ROWS)):
                records = [_record(json.loads(line)) for line in group]
                writer.write_table(pyarrow.Table.from_pylist(records, schema=schema))
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(output)
        fsync_folder(output.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from error


def _record(line: dict[str, Any]) -> dict[str, Any]:
    body = line["response"]["body"]
    usage = body.get("usage") if isinstance(body, dict) else None
    usage = usage if isinstance(usage, dict) else {}
    return {
        "custom_id": line["custom_id"],
        "row": int(line["id"].rpartition("_")[2]),
        "text": _text(body),
        "status_code": line["response"]["status_code"],
        "prompt_tokens": usage.get("prompt_tokens"),
        "completion_tokens": usage.get("completion_tokens"),
        "body": json.dumps(body, ensure_ascii=False),
    }


def _text(body: Any) -> str | None:
    """The words of an answer: of a chat, a completion or a transcription."""
    if isinstance(body, str):
        return body
    if not isinstance(body, dict):
        return None
    if isinstance(body.get("text"), str):
        return str(body["text"])
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return None
    message = choices[0].get("message")
    text = message.get("content") if isinstance(message, dict) else choices[0].get("text")
    return text if isinstance(text, str) else None
