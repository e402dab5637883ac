"""`sensorium bench media`: what it costs to turn pictures into what a model takes."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

__all__ = ["configure", "run"]

_EPILOG = """\
Images/s are those of one core, from CPU time: medians of five rounds, the paths in turns. Each path
begins at a data URL; vLLM's and Sensorium's end in the engine process.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("model", nargs="?", default="demo", help="folder, hub id or known name (default: demo)")
    add("--images", default="640x480,1280x720,1920x1080", metavar="MIX", help="sizes, by comma")
    add("--image-format", default="jpeg,png,webp", metavar="MIX", help="formats, by comma")
    add("--count", type=int, default=20, metavar="N", help="of each (default: 20)")
    add("--json", type=Path, metavar="FILE", help="write the figures")


def run(args: argparse.Namespace, rest: Sequence[str] = ()) -> int:
    """Measure every path, size and format, and print a table."""
    from sensorium.benchmarks.commands.options import parse_image_format
    from sensorium.benchmarks.compare.servers import model_source, set_machine_environment
    from sensorium.benchmarks.measure.machine import describe_machine, versions
    from sensorium.benchmarks.output.document import write_document
    from sensorium.benchmarks.output.table import columns
    from sensorium.benchmarks.workload.mix import parse_mix, parse_size

    sizes = parse_mix(args.images, "--images", parse_size).values
    kinds = parse_mix(args.image_format, "--image-format", parse_image_format).values
    set_machine_environment()
    from sensorium.benchmarks.local.media_paths import measure_in_turns, model_paths

    rows: list[tuple[str, ...]] = [("", "size", "format", "ms CPU", "images/s/core", "MP/s/core")]
    costs = []
    with model_paths(model_source(args.model)) as paths:
        for size, kind in itertools.product(sizes, kinds):
            costs += measure_in_turns(paths, size, kind, count=args.count)
    for cost in costs:
        (width, height), rate = cost.size, cost.images_per_core_second
        cells = (f"{1e3 * cost.cpu_seconds:.1f}", f"{rate:.1f}")
        pixels = f"{rate * width * height / 1e6:.1f}"
        rows.append((cost.path, f"{width}x{height}", cost.kind, *cells, pixels))
    print(columns(rows))
    if args.json:
        document = {
            "schema_version": "1.0",
            "kind": "sensorium bench media",
            "model": args.model,
            "count": args.count,
            "machine": describe_machine(),
            "versions": versions(),
            "costs": [asdict(cost) for cost in costs],
        }
        write_document(args.json, document)
    return 0
