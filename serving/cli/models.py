"""`sensorium models`: list the models that Sensorium knows by name."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from sensorium.model_adapters.catalogue import KNOWN, KnownModel

__all__ = ["SUMMARY", "configure", "run"]

SUMMARY = "list the models that Sensorium knows by name"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `sensorium models`."""
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of a table")


def run(args: argparse.Namespace, rest: Sequence[str] = ()) -> int:
    """Print the list."""
    if args.json:
        print(json.dumps([_entry(model) for model in KNOWN.values()], indent=2))
    else:
        print(_table(list(KNOWN.values())))
    return 0


def _entry(model: KnownModel) -> dict[str, str | int | bool | None]:
    installed = model.installed()
    return {
        "name": model.name,
        "installed": installed,
        "path": str(model.path()) if installed else None,
        "size": model.size,
        "licence": model.licence,
        "origin": model.origin,
        "summary": model.summary,
    }


def _table(models: list[KnownModel]) -> str:
    rows = [("NAME", "HERE", "SIZE", "LICENCE", "WHAT IT DOES")]
    rows += [
        (
            model.name,
            "yes" if model.installed() else "no",
            f"{model.size / 1e6:.0f} MB",
            model.licence,
            model.summary,
        )
        for model in models
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    absent = [m.name for m in models if m.fetcher is not None and not m.installed()]
    lines += [f"\n`sensorium pull {name}` fetches {name}." for name in absent]
    return "\n".join(lines)
