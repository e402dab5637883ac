"""`sensorium bench startup`: how long a server takes to be ready, and what it holds then."""

from __future__ import annotations

import argparse
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from sensorium.serving.errors import UserError

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = "Servers are started in turns. Memory counts pages that processes share once."
    add = parser.add_argument
    add("model", nargs="?", default="demo", help="folder, hub id or known name (default: demo)")
    add("--sides", nargs="+", default=["sensorium"], choices=["sensorium", "vllm"])
    add("--rounds", type=int, default=3, metavar="N", help="starts of each (default: 3)")
    add("--engine-args", default="", metavar="ARGS", help="more of vLLM's arguments")
    add("--json", type=Path, metavar="FILE", help="write the figures")


def run(args: argparse.Namespace, rest: Sequence[str] = ()) -> int:
    """Start, ask once, stop; several times."""
    if args.rounds < 1:
        raise UserError("--rounds must be 1 or more")
    from sensorium.benchmarks.commands.compare import equal_arguments
    from sensorium.benchmarks.compare.servers import make_side, start
    from sensorium.benchmarks.output.table import columns

    arguments = [*equal_arguments(), *shlex.split(args.engine_args)]
    sides = [make_side(kind, args.model, arguments) for kind in args.sides]
    rows: list[tuple[str, ...]] = [("", "ready, s", "first answer, s", "CPU, s", "memory, GiB")]
    found: dict[str, list[dict[str, float]]] = {side.name: [] for side in sides}
    with tempfile.TemporaryDirectory(prefix="sensorium-startup-") as folder:
        for number in range(args.rounds):
            for side in sides if number % 2 == 0 else sides[::-1]:
                server = start(side, Path(folder))
                server.stop()
                figures = server.figures()
                found[side.name].append(figures)
                rows.append((f"{side.name} {number + 1}", *_cells(figures)))
    for name, starts in found.items():
        means = {key: mean(one[key] for one in starts) for key in starts[0]}
        rows.append((f"{name}, mean", *_cells(means)))
    print(columns(rows))
    if args.json:
        _write(args, found)
    return 0


def _cells(figures: dict[str, float]) -> tuple[str, ...]:
    return (
        f"{figures['ready_seconds']:.1f}",
        f"{figures['first_answer_seconds']:.1f}",
        f"{figures['cpu_seconds']:.1f}",
        f"{figures['memory_bytes'] / (1 << 30):.2f}",
    )


def _write(args: argparse.Namespace, found: dict[str, list[dict[str, float]]]) -> None:
    from sensorium.benchmarks.measure.machine import describe_machine, load_average, versions
    from sensorium.benchmarks.output.document import write_document

    document = {
        "schema_version": "1.0",
        "kind": "sensorium bench startup",
        "model": args.model,
        "machine": describe_machine(),
        "versions": versions(),
        "load_average": load_average(),
        "starts": found,
    }
    write_document(args.json, document)
