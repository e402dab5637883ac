"""`sensorium doctor`: what this installation can do, what is broken, what mends it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence

__all__ = ["SUMMARY", "configure", "run"]

SUMMARY = "say what this installation can do, and what is broken"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--mend",
        action="store_true",
        help="first mend torchvision, torchaudio and torchcodec builds that do not fit torch",
    )
    parser.epilog = "Exit code 0: this installation can serve. 1: it cannot; the report says why."


def run(args: argparse.Namespace, rest: Sequence[str]) -> int:
    """Mend if asked, examine, print the report."""
    from sensorium.serving.doctor import examine, render

    if args.mend:
        from sensorium.serving.mend import mend

        mend(say=lambda line: print(line, file=sys.stderr, flush=True))
    report = examine()
    if args.json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        width = min(100, shutil.get_terminal_size((80, 24)).columns)
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        print(render(report, width=width, colour=colour))
    return 0 if report.can_serve else 1
