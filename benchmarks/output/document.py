"""The JSON document of a run: written by `bench serve`, read by `bench report`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sensorium.benchmarks.load.runner import LevelRun
from sensorium.benchmarks.measure.level import LevelResult
from sensorium.benchmarks.measure.machine import describe_machine, versions
from sensorium.serving.errors import UserError

__all__ = [
    "SCHEMA_VERSION",
    "judged_level",
    "make_document",
    "read_document",
    "request_rows",
    "write_document",
]

SCHEMA_VERSION = "1.0"


_KEPT = 0.9


def judged_level(levels: Sequence[LevelResult]) -> int:
    """The level that stands for the run: of a sweep the last one the server kept up with.

    In a closed loop every level is kept up with; there it is the one with most answers a second.
    """
    best = 0
    for number, level in enumerate(levels):
        kept = level["rate"] is None or level["requests_per_second"] >= _KEPT * level["rate"]
        if kept and level["requests_per_second"] > levels[best]["requests_per_second"]:
            best = number
    return best


def request_rows(run: LevelRun) -> list[dict[str, Any]]:
    """The single requests of a level; times in seconds since it began."""
    return [
        {
            "index": record.index,
            "intended": round(record.intended, 6),
            "sent": round(record.sent, 6),
            "ended": round(record.ended, 6),
            "events": [round(event, 6) for event in record.events],
            "error": record.error,
            "input_tokens": record.input_tokens,
            "output_tokens": record.output_tokens,
            "bytes_up": record.bytes_up,
            "media": [asdict(fact) for fact in record.media],
        }
        for record in run.records
    ]


def make_document(
    settings: dict[str, Any],
    levels: Sequence[LevelResult],
    server: dict[str, Any],
    judged: int,
    requests: Sequence[Sequence[dict[str, Any]]],
) -> dict[str, Any]:
    """The document. Its top level repeats the latencies and rates of the level `judged`.

    `requests` are the rows of `request_rows`, level by level; pages need them, files may drop them.
    """
    shown = levels[judged]
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "sensorium bench serve",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": settings,
        "versions": versions(),
        "machine": describe_machine(),
        "server": server,
        "judged_level": judged,
        **{name: shown[name] for name in ("ttft_ms", "tpot_ms", "itl_ms", "e2e_ms")},
        "requests_per_second": shown["requests_per_second"],
        "output_tokens_per_second": shown["output_tokens_per_second"],
        "levels": list(levels),
        "requests": [list(level) for level in requests],
    }


def write_document(path: Path, document: dict[str, Any]) -> None:
    """Write it; UserError where that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None


def read_document(path: Path) -> dict[str, Any]:
    """Read one; UserError for what is not a run of this schema."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {error}") from None
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version is None or "levels" not in document:
        raise UserError(f"{path}: not a result of `sensorium bench serve --json`")
    if str(version).split(".")[0] != SCHEMA_VERSION.split(".", maxsplit=1)[0]:
        raise UserError(
            f"{path}: schema version {version}, this program reads {SCHEMA_VERSION}; "
            "use the Sensorium that wrote it"
        )
    return dict(document)
