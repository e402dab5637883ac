"""`sensorium families`: list the model families whose original checkpoints are read."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sensorium.model_adapters.family_table import families_markdown, family_rows

__all__ = ["SUMMARY", "configure", "run"]

SUMMARY = "list the model families whose original checkpoints are read"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `sensorium families`."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print a JSON list instead of a table")
    form.add_argument("--markdown", action="store_true", help="print the page docs/families.md")


def run(args: argparse.Namespace, rest: Sequence[str] = ()) -> int:
    """Print the list."""
    if args.json:
        print(json.dumps(family_rows(), indent=2))
    elif args.markdown:
        print(families_markdown(), end="")
    else:
        rows = [("FAMILY", "TAKES", "WHAT IT IS")]
        rows += [(row["family"], "+".join(row["modalities"]), _title(row)) for row in family_rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            print("  ".join(cells).rstrip())
    return 0


def _title(row: Mapping[str, Any]) -> str:
    return f"{row['title']} (unconfirmed)" if row["unconfirmed"] else str(row["title"])
