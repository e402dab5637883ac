"""`sensorium bench`: hands over to the subcommands in `benchmarks.commands`."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from typing import cast

from sensorium.benchmarks.commands.table import COMMANDS, BenchCommand

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands with their options."""
    parser.epilog = "`sensorium bench COMMAND --help` says more about a command."
    commands = parser.add_subparsers(dest="bench_command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        _module(name).configure(sub)


def run(args: argparse.Namespace, rest: Sequence[str] = ()) -> int:
    """Run the subcommand."""
    return _module(args.bench_command).run(args, rest)


def _module(name: str) -> BenchCommand:
    return cast(BenchCommand, importlib.import_module(f"sensorium.benchmarks.commands.{name}"))
