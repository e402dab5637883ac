"""`sensorium bench overhead`: what this tool itself adds, measured against its fake server."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sensorium.benchmarks.measure.level import LevelResult
    from sensorium.benchmarks.session import Session

__all__ = ["configure", "run"]

_FIRST_MS, _GAP_MS, _TOKENS = 20.0, 10.0, 8


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("--rate", type=float, default=1000.0, help="requests a second (default: 1000)")
    add("--duration", type=float, default=10.0, metavar="S", help="seconds (default: 10)")


def run(args: argparse.Namespace, rest: Sequence[str] = ()) -> int:
    """Print send lag, CPU, and what is added to the latencies the server really had."""
    import httpx

    with _fake_server() as address:
        session = _load(address, args.rate, args.duration)
        log = httpx.get(f"{address}/fake/log", timeout=60, trust_env=False).json()
    print(_text(session.results[0], _added(session, log), args.rate))
    return 0


@contextmanager
def _fake_server() -> Iterator[str]:
    module = "sensorium.benchmarks.fake_server"
    paces = ["--first-ms", str(_FIRST_MS), "--gap-ms", str(_GAP_MS), "--tokens", str(_TOKENS)]
    start = [sys.executable, "-P", "-m", module, *paces]
    with subprocess.Popen(start, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def _load(address: str, rate: float, seconds: float) -> Session:
    from sensorium.benchmarks.load.arrivals import Arrivals
    from sensorium.benchmarks.load.loop import run as run_loop
    from sensorium.benchmarks.load.runner import Level
    from sensorium.benchmarks.output.display import Display
    from sensorium.benchmarks.session import Plan, run_plan
    from sensorium.benchmarks.workload.settings import WorkloadSettings

    plan = Plan(
        root=address,
        api_key=None,
        workload=WorkloadSettings("fake", input_tokens=32, output_tokens=_TOKENS),
        levels=(Level(arrivals=Arrivals(rate), seconds=seconds),),
        warmup=50,
    )
    return run_loop(run_plan(plan, Display(sys.stderr)))


def _added(session: Session, log: list[dict[str, Any]]) -> dict[str, float]:
    """Medians, in ms, of what the client saw less what the server did."""
    records = [record for record in session.runs[0].records if record.events]
    entries = [entry for entry in log[-len(records) :] if entry["sent"]]
    first = median(entry["sent"][0] - entry["received"] for entry in entries)
    gaps = [b - a for e in entries for a, b in zip(e["sent"], e["sent"][1:], strict=False)]
    return {
        "TTFT": 1e3 * (median(r.events[0] - r.intended for r in records) - first),
        "ITL": 1e3 * (median(g for r in records for g in r.itl) - median(gaps)),
    }


def _text(level: LevelResult, added: dict[str, float], rate: float) -> str:
    from sensorium.benchmarks.output.table import level_text

    own = level["own_cpu_ms_per_request"]
    kept = level["requests_per_second"] / rate
    lag = level["send_lag_ms"]
    lines = [
        level_text(level),
        "",
        f"this tool: {own:.2f} ms CPU a request, so one core sends about {1e3 / own:,.0f} a second",
        f"kept {kept:.1%} of {rate:g} requests/s"
        + (f"; sent late by {lag['p50']:.2f} ms (p50), {lag['p99']:.2f} ms (p99)" if lag else ""),
        "added to the server's own medians: "
        + ", ".join(f"{name} {value:+.2f} ms" for name, value in added.items()),
    ]
    return "\n".join(lines)
