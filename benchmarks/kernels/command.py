"""The command line: check, time, compare and, if asked, pin."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from sensorium.benchmarks.kernels import report
from sensorium.benchmarks.kernels.attention import ATTENTION
from sensorium.benchmarks.kernels.ceilings import measure_ceilings
from sensorium.benchmarks.kernels.comparison import Plan, Row, compare
from sensorium.benchmarks.kernels.predictions import fill_page, further_sizes, prediction_table
from sensorium.benchmarks.kernels.stages import STAGES
from sensorium.benchmarks.kernels.tune import tune
from sensorium.kernels.all_cases import ALL_CASES
from sensorium.kernels.cases import Case
from sensorium.kernels.pinned import write_pinned
from sensorium.kernels.runtime import describe_device

__all__ = ["main"]

_CASES: tuple[Case, ...] = (*ALL_CASES, *STAGES, *ATTENTION)
_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run; exits with 1 when any result was wrong, 2 for wrong options."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda, but torch sees no CUDA device here")
    if options.page is not None and (options.device != "cuda" or options.tiny):
        parser.error("--page takes measurements of a GPU at real sizes")
    if options.pin is not None and not _runs_triton(options.device):
        parser.error("--pin needs a device that Triton compiles for; a CPU runs the reference")
    chosen = [case for case in _CASES if not options.cases or case.name in options.cases]
    if unknown := set(options.cases) - {case.name for case in chosen}:
        parser.error(f"unknown cases {sorted(unknown)}; known: {_known()}")
    if options.list:
        print(_known())
        return
    plan = Plan(
        options.device,
        _DTYPES[options.dtype],
        options.tiny,
        compiled=not options.no_compile,
        repeats=options.repeats,
    )
    command = "python -m sensorium.benchmarks.kernels " + " ".join(arguments or sys.argv[1:])
    with torch.inference_mode():
        if options.pin is not None:
            _pin(chosen, plan, options.pin, command)
        rows = _run(chosen, plan, options.out, command)
    if options.page is not None:
        fill_page(options.page, prediction_table(rows, _CASES, plan))
    if any(not row.passed for row in rows):
        raise SystemExit(1)


def _run(chosen: Sequence[Case], plan: Plan, out: Path | None, command: str) -> list[Row]:
    ceilings = measure_ceilings(plan.device, plan.dtype, tiny=plan.tiny)
    print(ceilings)
    rows: list[Row] = []
    for case in chosen:
        print(f"{case.name} ({case.op})", file=sys.stderr)
        for sizes, here in ((plan.sizes(case), plan), *further_sizes(case, plan)):
            rows += compare(case, here, ceilings, sizes=sizes)
        if out is not None:  # after each case: what ends the run must not take everything with it
            predictions = prediction_table(rows, _CASES, plan)
            report.write(out, rows, ceilings, plan.device, command, _when(plan), predictions)
    print(report.table(rows))
    print(report.gelu_verdict(rows))
    print(report.attention_verdict(rows))
    return rows


def _pin(chosen: Sequence[Case], plan: Plan, folder: Path, command: str) -> None:
    """Write what is best on this device for the operators of the chosen cases."""
    measured = report.environment(plan.device)
    entries = list(tune([case for case in chosen if case in ALL_CASES], plan))
    path = write_pinned(folder, measured["device"], entries, {"command": command, **measured})
    print(f"pinned {len(entries)} configurations: {path}")


def _runs_triton(name: str) -> bool:
    device = describe_device(torch.device(name))
    return device.triton and (device.kind != "cpu" or device.interpreted)


def _when(plan: Plan) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"measured": now, "dtype": str(plan.dtype), "sizes": "tiny" if plan.tiny else "real"}


def _known() -> str:
    return ", ".join(dict.fromkeys(case.name for case in _CASES))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m sensorium.benchmarks.kernels",
        description="Check projection kernels against float64, then time them.",
    )
    automatic = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("cases", nargs="*", metavar="CASE", help="names from --list; default: all")
    parser.add_argument("--list", action="store_true", help="show the cases and stop")
    parser.add_argument("--device", choices=("cpu", "cuda"), default=automatic)
    parser.add_argument("--dtype", choices=_DTYPES, default="bfloat16")
    parser.add_argument("--tiny", action="store_true", help="sizes of the tests: a dry run")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    parser.add_argument("--repeats", type=int, default=15, metavar="N")
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON; tables go beside it as .md")
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="fill in the table of predictions on this page"
    )
    parser.add_argument(
        "--pin", type=Path, metavar="FOLDER", help="tune first, and write this device's file there"
    )
    return parser
