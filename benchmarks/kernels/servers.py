"""`python -m sensorium.benchmarks.kernels.servers`: what the kernels are worth in a server.

Stock vLLM, Sensorium with the reference operators, with Triton, and with a projector in e4m3, in
turns, each started anew every round, with dummy weights of 7B shapes: requests a second, and stage
times as the servers' own metrics tell them. Then each as an engine without HTTP under torch's
profiler: launches and waits.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from sensorium.benchmarks.commands.compare import equal_arguments
from sensorium.benchmarks.compare.rounds import Cell, Schedule, run_rounds
from sensorium.benchmarks.compare.rows import choose_rows
from sensorium.benchmarks.compare.scoreboard import cell_line, make_result
from sensorium.benchmarks.compare.servers import Side, make_side, process_environment
from sensorium.benchmarks.kernels.checkpoints import SHAPES, Shape
from sensorium.benchmarks.kernels.report import environment
from sensorium.benchmarks.kernels.server_report import server_tables
from sensorium.benchmarks.load.loop import run as run_loop
from sensorium.kernels.fp8 import FOLDER_VARIABLE
from sensorium.kernels.runtime import MODE_VARIABLE
from sensorium.model_adapters.demo import SAMPLES
from sensorium.serving.errors import EngineStartError

__all__ = ["main"]

_TAIL = 3000
_STOCK, _FP8 = "vllm", "sensorium-fp8"
# By the names of the sides: how Sensorium computes the projection.
_MODES = {"sensorium-reference": "reference", "sensorium-triton": "triton"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every model; the results are written after each."""
    parser = _parser()
    options = parser.parse_args(arguments)
    cuda = torch.cuda.is_available()
    if not cuda and not options.tiny:
        parser.error("shapes of 7B need a GPU; --tiny makes a dry run on a CPU")
    if min(options.rounds, options.requests, *options.concurrency) < 1:
        parser.error("--rounds, --requests and --concurrency must be 1 or more")
    chosen = [shape for shape in SHAPES if not options.models or shape.name in options.models]
    if unknown := set(options.models) - {shape.name for shape in chosen}:
        known = ", ".join(shape.name for shape in SHAPES)
        parser.error(f"unknown models {sorted(unknown)}; known: {known}")
    if not cuda:
        print("no GPU: Sensorium runs with the reference operators only", file=sys.stderr)
        if "sensorium-triton" in options.sides:
            parser.error("sensorium-triton needs a GPU")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    result: dict[str, Any] = {
        "kind": "kernels in a server",
        "measured": now,
        "sizes": "tiny" if options.tiny else "7B",
        "command": " ".join(["python -m", __spec__.name, *(arguments or sys.argv[1:])]),
        "environment": environment("cuda" if cuda else "cpu"),
        "models": {},
    }
    for shape in chosen:
        with tempfile.TemporaryDirectory(prefix="sensorium-servers-") as folder:
            result["models"][shape.name] = _measure(shape, options, Path(folder), cuda)
        tables = server_tables(result)
        if options.out is not None:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(result) + "\n", encoding="utf-8")
            options.out.with_suffix(".md").write_text(tables, encoding="utf-8")
    print(f"\n{tables}")


def _measure(shape: Shape, options: argparse.Namespace, folder: Path, cuda: bool) -> dict[str, Any]:
    checkpoint = folder / shape.name
    shape.write(checkpoint, options.tiny)
    engine = [
        *("--load-format", "dummy", "--max-model-len", "4096"),
        *("--limit-mm-per-prompt", json.dumps({"image": 8, "video": 0})),
        *("--dtype", "bfloat16" if cuda else "float32"),
    ]
    sides = _sides(str(checkpoint), [*equal_arguments(), *engine], cuda, options.sides)
    schedule = Schedule(
        tuple(sides),
        choose_rows([row for row in shape.rows if not options.rows or row in options.rows]),
        tuple(options.concurrency),
        options.rounds,
        options.requests,
        one_at_a_time=True,
    )
    cells, starts = run_loop(
        run_rounds(schedule, folder, lambda cell: print(cell_line(cell), flush=True))
    )
    comparisons = [
        make_result(
            replace(schedule, sides=pair),
            shape.name,
            [cell for cell in cells if cell.side in (pair[0].name, pair[1].name)],
            [start for start in starts if start[0] in (pair[0].name, pair[1].name)],
            source=str(checkpoint),
        )
        for pair in _pairs(sides)
    ]
    offline = [*equal_arguments(frontend=False), *engine]
    traces = {side.name: _trace(side, checkpoint, offline, options, folder) for side in sides}
    return {"comparisons": comparisons, "stages": _stage_times(cells), "traces": traces}


def _sides(model: str, arguments: Sequence[str], cuda: bool, wanted: Sequence[str]) -> list[Side]:
    """Those that can run here, or of these the wanted ones; each has its name."""
    sides = [make_side("vllm", model, arguments, name=_STOCK)]
    modes = {name: mode for name, mode in _MODES.items() if cuda or mode == "reference"}
    best = list(modes.values())[-1]
    for name, mode, fp8 in (*((n, m, False) for n, m in modes.items()), (_FP8, best, True)):
        options = ["--projection-kernels", mode]
        options += ["--projection-fp8", str(SAMPLES)] if fp8 else []
        side = make_side("sensorium", model, [*arguments, *options], name=name)
        # For the engine without HTTP, which takes no such options.
        engine = {MODE_VARIABLE: mode, **({FOLDER_VARIABLE: str(SAMPLES)} if fp8 else {})}
        sides.append(replace(side, environment={**side.environment, **engine}))
    return [side for side in sides if not wanted or side.name in wanted]


def _pairs(sides: Sequence[Side]) -> list[tuple[Side, Side]]:
    """Each beside the best that computes in the model's dtype, and that beside e4m3."""
    plain = [side for side in sides if side.name != _FP8]
    fp8 = [side for side in sides if side.name == _FP8]
    if not plain:
        return []
    return [(side, plain[-1]) for side in plain[:-1]] + [(plain[-1], side) for side in fp8]


def _stage_times(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """The mean milliseconds of each stage in each cell."""
    return [
        {
            "row": cell.row,
            "concurrency": cell.concurrency,
            "side": cell.side,
            "stage": stage,
            "mean_ms": time["mean_ms"],
        }
        for cell in cells
        for stage, time in cell.result["stages"].items()
    ]


def _trace(
    side: Side,
    checkpoint: Path,
    engine: Sequence[str],
    options: argparse.Namespace,
    folder: Path,
) -> list[dict[str, Any]]:
    """A summary for each profiled batch, from a process in the side's environment."""
    print(f"profiling {side.name}", file=sys.stderr)
    out = folder / f"{side.name}-trace.json"
    command = [sys.executable, "-P", "-m", "sensorium.benchmarks.kernels.profiled", str(checkpoint)]
    command += ["--out", str(out), "--batches", str(options.rounds)]
    command += ["--requests", str(max(options.concurrency)), *engine]
    done = subprocess.run(
        command,
        env=process_environment(side, folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise EngineStartError(
            f"the profiled engine of {side.name} ended with {done.returncode}:\n"
            f"{done.stdout[-_TAIL:]}"
        )
    summaries: list[dict[str, Any]] = json.loads(out.read_text())
    return summaries


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m sensorium.benchmarks.kernels.servers",
        description="Servers with dummy weights: stock vLLM, and Sensorium by its kernels.",
    )
    names = [shape.name for shape in SHAPES]
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(names)}")
    parser.add_argument("--tiny", action="store_true", help="tiny shapes: a dry run")
    sides = (_STOCK, *_MODES, _FP8)
    parser.add_argument("--sides", nargs="+", choices=sides, default=[], help="default: all")
    parser.add_argument("--rows", nargs="+", default=[], metavar="ROW", help="default: all")
    parser.add_argument("--concurrency", nargs="+", type=int, default=[1, 16], metavar="N")
    parser.add_argument("--rounds", type=int, default=4, metavar="N")
    parser.add_argument("--requests", type=int, default=8, metavar="N", help="times N at once")
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON; tables go beside it as .md")
    return parser


if __name__ == "__main__":
    main()
