"""`sensorium bench batch`: a file of rows, by `sensorium batch` and by vLLM's `run-batch`."""

from __future__ import annotations

import argparse
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from sensorium.serving.errors import UserError

if TYPE_CHECKING:
    from sensorium.benchmarks.local.batch_pair import BatchRun

__all__ = ["configure", "run"]

_EPILOG = """\
Each run is a process of its own that starts an engine, with the same arguments for both; they take
turns. Every row asks about a picture in a data URL. Memory counts pages that processes share once.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("model", nargs="?", default="demo", help="folder, hub id or known name (default: demo)")
    add("--sides", nargs="+", default=["sensorium", "vllm"], choices=["sensorium", "vllm"])
    add("--rounds", type=int, default=2, metavar="N", help="runs of each (default: 2)")
    add("--rows", type=int, default=2000, metavar="N", help="(default: 2000)")
    add("--pictures", type=int, default=500, metavar="N", help="different ones (default: 500)")
    add("--size", default="320x240", metavar="WxH", help="of a picture (default: 320x240)")
    add("--output-tokens", type=int, default=16, metavar="N", help="(default: 16)")
    add("--engine-args", default="", metavar="ARGS", help="more of vLLM's arguments, for both")
    add("--seed", type=int, default=0)
    add("--json", type=Path, metavar="FILE", help="write the figures")


def run(args: argparse.Namespace, rest: Sequence[str] = ()) -> int:
    """Run every round and print the table."""
    if min(args.rounds, args.rows, args.output_tokens) < 1 or args.pictures < 0:
        raise UserError("--rounds, --rows and --output-tokens must be 1 or more")
    from sensorium.benchmarks.commands.compare import equal_arguments
    from sensorium.benchmarks.compare.servers import model_source
    from sensorium.benchmarks.local.batch_pair import batch_side, run_once, write_rows

    arguments = [*equal_arguments(frontend=False), *shlex.split(args.engine_args)]
    source = model_source(args.model)
    sides = [batch_side(kind, source, arguments) for kind in args.sides]
    found: dict[str, list[BatchRun]] = {side.name: [] for side in sides}
    with tempfile.TemporaryDirectory(prefix="sensorium-batch-") as place:
        folder = Path(place)
        rows = folder / "rows.jsonl"
        write_rows(
            rows,
            args.rows,
            args.pictures,
            size=_size(args.size),
            tokens=args.output_tokens,
            seed=args.seed,
        )
        for number in range(args.rounds):
            for side in sides if number % 2 == 0 else sides[::-1]:
                found[side.name].append(run_once(side, rows, folder))
    print(_table(found))
    if args.json:
        _write(args, found)
    return 0


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise UserError(f"--size {text}: write it as 320x240")
    return int(width), int(height)


def _table(found: dict[str, list[BatchRun]]) -> str:
    from sensorium.benchmarks.output.table import columns

    head = ("", "answered", "all, s", "rows/s", "first row, s", "CPU, s", "peak memory, GiB")
    lines: list[tuple[str, ...]] = [head]
    for name, runs in found.items():
        lines += [(f"{name} {n + 1}", *_cells([one])) for n, one in enumerate(runs)]
        lines.append((f"{name}, mean", *_cells(runs)))
    return columns(lines)


def _cells(runs: list[BatchRun]) -> tuple[str, ...]:
    seconds = mean(one.seconds for one in runs)
    rows = mean(one.rows for one in runs)
    return (
        f"{rows:.0f}",
        f"{seconds:.1f}",
        f"{rows / seconds:.1f}",
        f"{mean(one.first_row_seconds for one in runs):.1f}",
        f"{mean(one.cpu_seconds for one in runs):.1f}",
        f"{mean(one.peak_memory_bytes for one in runs) / (1 << 30):.2f}",
    )


def _write(args: argparse.Namespace, found: dict[str, list[BatchRun]]) -> None:
    from sensorium.benchmarks.measure.machine import describe_machine, load_average, versions
    from sensorium.benchmarks.output.document import write_document

    settings = ("model", "rows", "pictures", "size", "output_tokens", "seed", "engine_args")
    document = {
        "schema_version": "1.0",
        "kind": "sensorium bench batch",
        "settings": {name: getattr(args, name) for name in settings},
        "machine": describe_machine(),
        "versions": versions(),
        "load_average": load_average(),
        "runs": {name: [one.figures() for one in runs] for name, runs in found.items()},
    }
    write_document(args.json, document)
