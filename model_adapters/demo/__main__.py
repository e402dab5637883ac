"""`python -m sensorium.model_adapters.demo`: how the embedded model was made and measured."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final

COMMANDS: Final = {
    "train": ("train", "train the model, from nothing or from a checkpoint"),
    "evaluate": ("evaluate", "measure a checkpoint on held-out scenes, fonts and voices"),
    "export": ("export", "write a trained state as a checkpoint folder"),
    "render-samples": ("samples", "draw the sample files"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the commands; returns the exit code."""
    program = "python -m sensorium.model_adapters.demo"
    lines = "\n".join(f"  {name:15} {summary}" for name, (_, summary) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog=program,
        epilog=f"commands:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="see COMMAND --help")
    chosen = parser.parse_args(argv)
    # Only the chosen command is imported: training needs torch, drawing samples does not.
    module, summary = COMMANDS[chosen.command]
    implementation = importlib.import_module(f"sensorium.model_adapters.demo.{module}")
    command = argparse.ArgumentParser(prog=f"{program} {chosen.command}", description=summary)
    implementation.configure(command)
    code: int = implementation.run(command.parse_args(chosen.arguments))
    return code


if __name__ == "__main__":
    sys.exit(main())
