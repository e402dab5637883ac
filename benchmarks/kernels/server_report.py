"""The tables of `benchmarks.kernels.servers`, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from sensorium.benchmarks.compare.scoreboard import markdown

__all__ = ["server_tables"]

_TRACED = (
    ("calls", "calls"),
    ("host us", "host_microseconds"),
    ("device us", "device_microseconds"),
    ("kernels", "kernels"),
    ("launches", "launches"),
    ("waits", "waits"),
)


def server_tables(result: dict[str, Any]) -> str:
    """For each model: servers against each other, their stages, and what the profiler counted."""
    parts = []
    for model, found in result["models"].items():
        parts.append(f"## {model}, {result['sizes']} shape, dummy weights")
        parts += [markdown(comparison).rstrip() for comparison in found["comparisons"]]
        parts += [_stages(found["stages"]), _traces(found["traces"])]
    return "\n\n".join(parts) + "\n"


def _spread(values: Sequence[float | None], digits: int) -> str:
    """Median, lowest and highest; `-` where nothing was measured."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    texts = [f"{value:.{digits}f}" for value in (median(known), min(known), max(known))]
    return texts[0] if texts[1] == texts[2] else f"{texts[0]} ({texts[1]}..{texts[2]})"


def _stages(times: Sequence[dict[str, Any]]) -> str:
    """A line for each load and stage, a column for each server."""
    sides = list(dict.fromkeys(time["side"] for time in times))
    lines = [
        "Milliseconds in a stage by the servers' metrics: median of the rounds' means, lowest to "
        "highest.",
        "",
        f"| load | at once | stage | {' | '.join(sides)} |",
        "|---|---|---|" + "---|" * len(sides),
    ]
    keys = dict.fromkeys((time["row"], time["concurrency"], time["stage"]) for time in times)
    for row, at_once, stage in keys:
        cells = []
        for side in sides:
            same = (row, at_once, stage, side)
            values = [
                time["mean_ms"]
                for time in times
                if (time["row"], time["concurrency"], time["stage"], time["side"]) == same
            ]
            cells.append(_spread(values, 2))
        lines.append(f"| {row} | {at_once} | {stage} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _traces(traces: dict[str, list[dict[str, Any]]]) -> str:
    """A line for each stage and engine."""
    lines = [
        "A batch of images under torch's profiler, one token out: median of the batches, lowest to "
        "highest. Host times include the profiler's own.",
        "",
        f"| stage | engine | {' | '.join(title for title, _ in _TRACED)} |",
        "|---|---|" + "---|" * len(_TRACED),
    ]
    stages = dict.fromkeys(
        name for batches in traces.values() for batch in batches for name in batch["stages"]
    )
    for stage in stages:
        for side, batches in traces.items():
            here = [batch["stages"][stage] for batch in batches]
            cells = [_spread([one[key] for one in here], 0) for _, key in _TRACED]
            lines.append(f"| {stage} | {side} | {' | '.join(cells)} |")
    lines += ["", "Our operators in the first of these batches:"]
    for side, batches in traces.items():
        calls = ", ".join(f"`{name}` {n}" for name, n in batches[0]["operators"].items())
        lines.append(f"- {side}: {calls or 'none'}")
    return "\n".join(lines)
