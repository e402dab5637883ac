"""A level as people read it in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from sensorium.benchmarks.measure.level import LevelResult
from sensorium.benchmarks.measure.statistics import Summary

__all__ = ["columns", "level_text", "sweep_text"]

_LATENCIES = (
    ("TTFT", "ttft_ms"),
    ("TPOT", "tpot_ms"),
    ("ITL", "itl_ms"),
    ("E2E", "e2e_ms"),
    ("send lag", "send_lag_ms"),
)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as aligned columns, the first to the left, the others to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def level_text(level: LevelResult) -> str:
    """The whole level: latencies, rates, tokens, media, server, warnings."""
    head = ("ms", "mean", "95 % of mean", "std", "p50", "p90", "p99", "max")
    rows: list[tuple[str, ...]] = [head]
    for name, key in _LATENCIES:
        summary: Summary | None = level[key]  # type: ignore[literal-required]
        if summary is not None:
            rows.append((name, *_latency_cells(summary)))
    lines = [
        f"== {level['name']}: {level['answered']} of {level['requests']} requests answered "
        f"in {level['seconds']:.1f} s ==",
        columns(rows),
        "",
        *_rates(level),
        *_contents(level),
        *_server(level),
    ]
    lines += [f"! {warning['message']}" for warning in level["warnings"]]
    return "\n".join(lines)


def _latency_cells(summary: Summary) -> tuple[str, ...]:
    interval = summary["ci95"]
    return (
        f"{summary['mean']:.1f}",
        f"{interval[0]:.1f}..{interval[1]:.1f}" if interval else "-",
        *(f"{summary[key]:.1f}" for key in ("std", "p50", "p90", "p99", "max")),
    )


def _rates(level: LevelResult) -> list[str]:
    line = (
        f"throughput  {level['requests_per_second']:.2f} requests/s, "
        f"{level['output_tokens_per_second']:.1f} output tokens/s, "
        f"{level['input_tokens_per_second']:.1f} input tokens/s"
    )
    lines = [line]
    if level["goodput_per_second"] is not None:
        lines.append(f"goodput     {level['goodput_per_second']:.2f} requests/s within the limits")
    for kind, number in level["errors"].items():
        lines.append(f"error       {number} x {kind}: {level['error_examples'][kind]}")
    return lines


def _contents(level: LevelResult) -> list[str]:
    tokens = level["tokens"]
    told = ", ".join(f"{number:,} {kind}" for kind, number in tokens.items() if number)
    lines = [f"tokens      {told or 'the server does not tell'}"]
    lines.append(f"sent        {_bytes(level['bytes_up'])}")
    if media := level["media"]:
        lines[-1] += (
            f"; {media['count']:.0f} media, {_bytes(media['bytes'])}, "
            f"{media['reused_share']:.0%} of them sent before"
        )
    if len(level["by_size"]) > 1:
        rows: list[tuple[str, ...]] = [("by size", "requests", "TTFT ms", "E2E ms")]
        for size in level["by_size"]:
            cells = [
                f"{s['mean']:.1f}" if (s := summary) else "-"
                for summary in (size["ttft_ms"], size["e2e_ms"])
            ]
            rows.append((f"  {size['kind']} {size['label']}", str(size["requests"]), *cells))
        lines.append(columns(rows))
    return lines


def _server(level: LevelResult) -> list[str]:
    lines = []
    if stages := level["stages"]:
        told = ", ".join(f"{name} {stage['mean_ms']:.1f}" for name, stage in stages.items())
        lines.append(f"stages, ms  {told} (mean, by the server)")
    for cache, use in level["caches"].items():
        if use["hit_rate"] is not None:
            lines.append(f"{cache}: {use['hit_rate']:.1%} of {use['queries']:,.0f} found")
    if used := level["server"]:
        cores = used["cpu_seconds"] / level["seconds"] if level["seconds"] else 0.0
        lines.append(
            f"server      {cores:.2f} cores, {_bytes(used['peak_memory_bytes'])} in "
            f"{used['processes']} processes"
        )
    busy = "" if level["load_average"] is None else f"; load average {level['load_average']:.2f}"
    lines.append(f"this tool   {level['own_cpu_ms_per_request']:.2f} ms CPU a request{busy}")
    return lines


def sweep_text(levels: Sequence[LevelResult]) -> str:
    """One line a level."""
    latencies = ("TTFT p50", "TTFT p99", "E2E p50", "E2E p99")
    rows: list[tuple[str, ...]] = [("level", "requests/s", "tokens/s", *latencies, "failed")]
    for level in levels:
        ttft, e2e = level["ttft_ms"], level["e2e_ms"]
        rows.append(
            (
                level["name"],
                f"{level['requests_per_second']:.2f}",
                f"{level['output_tokens_per_second']:.1f}",
                *((f"{ttft['p50']:.1f}", f"{ttft['p99']:.1f}") if ttft else ("-", "-")),
                *((f"{e2e['p50']:.1f}", f"{e2e['p99']:.1f}") if e2e else ("-", "-")),
                str(level["requests"] - level["answered"]),
            )
        )
    return columns(rows)


def _bytes(number: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.2f} GiB"
