"""`sensorium bench report`: compare results, or turn one into a page."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from sensorium.serving.errors import UserError

__all__ = ["configure", "run"]

_EPILOG = """\
With two files: ratios B / A of the means with 95 % intervals; `~` marks those that include 1.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="A.json [B.json]")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write A as a page")


def run(args: argparse.Namespace, rest: Sequence[str] = ()) -> int:
    """Print the comparison, or the levels of a single result."""
    from sensorium.benchmarks.output.document import read_document
    from sensorium.benchmarks.output.page import write_page
    from sensorium.benchmarks.output.ratios import compare_documents
    from sensorium.benchmarks.output.table import level_text

    if len(args.files) > 2:
        raise UserError(f"`bench report` takes one or two files, got {len(args.files)}")
    documents = [read_document(path) for path in args.files]
    if args.html:
        write_page(args.html, documents[0])
    if len(documents) == 2:
        print(compare_documents(*documents))
    else:
        print("\n\n".join(level_text(level) for level in documents[0]["levels"]))
    return 0
