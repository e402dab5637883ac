"""`sensorium bench media`: what it costs to turn pictures into what a model takes."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sensorium.benchmarks.local.media_paths import Cost
    from sensorium.benchmarks.local.media_rates import Rate

__all__ = ["configure", "run"]

_COSTS = ("one by one", "size", "format", "ms CPU", "images/s/core", "MP/s/core")
_RATES = ("16 at a time", "size", "format", "ms CPU", "images/s", "images/s/core")

_EPILOG = """\
Images/s/core by CPU time are one core's, one picture after the other: medians of five rounds, the
paths in turns. Each path begins at a data URL; vLLM's and Sensorium's end in the engine process.
Then both front ends bring 16 requests at a time to the engine with all cores. There, images/s/core
goes by the clock, which only says something on a machine that does nothing else; take a --count of
50 or more.
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
    from sensorium.benchmarks.local.media_paths import measure_in_turns, model_paths, photo_urls
    from sensorium.benchmarks.local.media_rates import front_ends

    model, pictures = model_source(args.model), list(itertools.product(sizes, kinds))
    with model_paths(model) as paths:
        costs = [
            cost
            for size, kind in pictures
            for cost in measure_in_turns(paths, size, kind, count=args.count)
        ]
    print(columns([_COSTS, *map(_cost_row, costs)]))
    with front_ends(model) as ends:
        rates = [
            rate
            for size, kind in pictures
            for rate in ends.measure_in_turns(photo_urls(size, kind, count=args.count), size, kind)
        ]
    print()
    print(columns([_RATES, *map(_rate_row, rates)]))
    if args.json:
        document = {
            "schema_version": "1.0",
            "kind": "sensorium bench media",
            "model": args.model,
            "count": args.count,
            "machine": describe_machine(),
            "versions": versions(),
            "costs": [asdict(cost) for cost in costs],
            "rates": [asdict(rate) for rate in rates],
        }
        write_document(args.json, document)
    return 0


def _cost_row(cost: Cost) -> tuple[str, ...]:
    rate = cost.images_per_core_second
    width, height = cost.size
    figures = (1e3 * cost.cpu_seconds, rate, rate * width * height / 1e6)
    return cost.path, f"{width}x{height}", cost.kind, *(f"{figure:.1f}" for figure in figures)


def _rate_row(rate: Rate) -> tuple[str, ...]:
    width, height = rate.size
    figures = (1e3 * rate.cpu_seconds, rate.images_per_second, rate.images_per_core_second)
    return rate.path, f"{width}x{height}", rate.kind, *(f"{figure:.1f}" for figure in figures)
