"""The check of a batch's input before any row is asked, as OpenAI's Batch API does it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sensorium.serving.batch.bodies import RowMaker
from sensorium.serving.batch.jsonl import read_jsonl

__all__ = ["Validated", "validate"]

_MOST_ERRORS = 100


@dataclass
class Validated:
    """What was found: the number of rows, the model they name, and what is wrong with them."""

    rows: int = 0
    model: str | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)

    def refuse(self, line: int | None, code: str, message: str, param: str | None = None) -> None:
        """Note an error, of the whole file where `line` is None."""
        if len(self.errors) < _MOST_ERRORS:
            error = {"line": line, "code": code, "message": message, "param": param}
            self.errors.append(error)


def validate(path: Path, endpoint: str, most_rows: int, models: Collection[str]) -> Validated:
    """Read a whole input (blocking): every line well formed, one endpoint, one model served here.

    Rows that turn out to be wrong only when they are asked fail one by one later.
    """
    found = Validated()
    for row in read_jsonl(path, RowMaker(endpoint), strict=True):
        found.rows += 1
        if row.problem is not None:
            problem = row.problem
            found.refuse(row.number + 1, problem.code, problem.message, problem.param)
            continue
        model = row.body.get("model")
        if model is None or not isinstance(model, str):
            continue  # the server chooses, or names the fault
        if found.model is None:
            found.model = model
        elif model != found.model:
            message = f"The batch asks for {found.model!r}, this line for {model[:100]!r}"
            found.refuse(row.number + 1, "mismatched_model", message, "body.model")
    if found.rows == 0:
        found.refuse(None, "empty_file", "The input file has no lines")
    if found.rows > most_rows:
        message = f"The input file has {found.rows:,} lines; this server takes {most_rows:,}"
        found.refuse(None, "too_many_requests", message)
    if found.model is not None and found.model not in models:
        message = f"The model `{found.model[:100]}` does not exist; here are: {', '.join(models)}"
        found.refuse(None, "model_not_found", message, "body.model")
    return found
