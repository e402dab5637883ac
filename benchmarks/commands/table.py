"""The subcommands of `sensorium bench`, by name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Protocol

__all__ = ["COMMANDS", "BenchCommand"]

COMMANDS: dict[str, str] = {
    "serve": "load a running server and measure its answers",
    "report": "compare results of `bench serve`, or turn one into a page",
    "compare": "load Sensorium and stock vLLM in turns and compare them",
    "offline": "measure an engine's throughput without HTTP",
    "batch": "answer a file of rows by `sensorium batch` and by vLLM's run-batch",
    "media": "measure what it costs to turn pictures into what a model takes",
    "startup": "measure how long a server takes to be ready, and its memory",
    "soak": "load a server with mixed media for long: does its memory stay flat?",
    "overhead": "measure what this tool itself adds, against a fake server",
}


class BenchCommand(Protocol):
    """What a module `benchmarks.commands.<name>` offers."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments; nothing heavy may be imported for that."""

    def run(self, args: argparse.Namespace, rest: Sequence[str]) -> int:
        """Do the work; return the exit code."""
