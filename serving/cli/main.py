"""Entry point of the `sensorium` command."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from sensorium import __version__
from sensorium.serving.errors import EngineStartError, UserError

__all__ = ["COMMANDS", "main", "split_unknown"]

COMMANDS: dict[str, str] = {
    "serve": "serve models over the OpenAI API",
    "ask": "ask a served model about images, sounds or a video",
    "transcribe": "write down what is said in a sound file",
    "batch": "answer every row of a file, resuming where it was stopped",
    "bench": "measure servers and their parts, and compare them",
    "models": "list the models that come with Sensorium",
    "families": "list the model families whose original checkpoints are read",
    "inspect": "say how a checkpoint would be served, without loading it",
    "pull": "fetch a model that Sensorium knows by name",
    "doctor": "say what this installation can do, and what is broken",
}


class Command(Protocol):
    """What a module `serving.cli.<command>` offers."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""

    def run(self, args: argparse.Namespace, rest: Sequence[str]) -> int:
        """Do the work; return the exit code."""


def _overview() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sensorium",
        description="Serve vision and audio language models, and talk to them.",
        epilog="`sensorium COMMAND --help` says more about a command.",
    )
    parser.add_argument("--version", action="version", version=f"sensorium {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary, add_help=False)
    return parser


def split_unknown(arguments: Sequence[str], known: set[str]) -> tuple[list[str], list[str]]:
    """Arguments of ours, and options we do not know with the values that follow them.

    argparse alone would take the value of an unknown option for a positional argument. What
    follows an unknown option is taken for its value, so positional arguments come first.
    """
    ours: list[str] = []
    unknown: list[str] = []
    bucket = ours
    for argument in arguments:
        if argument.startswith("-") and not argument[1:2].isdigit() and argument != "-":
            bucket = ours if argument.partition("=")[0] in known else unknown
        bucket.append(argument)
    return ours, unknown


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (2: used wrongly, 1: failed)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] not in COMMANDS:
        _overview().parse_args(arguments or ["--help"])
    name = arguments[0]
    module = cast(Command, importlib.import_module(f"sensorium.serving.cli.{name}"))
    parser = argparse.ArgumentParser(
        prog=f"sensorium {name}",
        description=COMMANDS[name][0].upper() + COMMANDS[name][1:] + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser)
    try:
        ours = arguments[1:]
        rest: list[str] = []
        if getattr(module, "PASSES_UNKNOWN_OPTIONS", False):
            ours, rest = split_unknown(ours, set(parser._option_string_actions))
        return module.run(parser.parse_args(ours), rest)
    except UserError as error:
        print(f"sensorium {name}: {error}", file=sys.stderr)
        return 2
    except EngineStartError as error:
        print(f"sensorium {name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
