"""`sensorium bench soak`: mixed media for a long time; is memory flat, is nothing stuck?"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sensorium.serving.client import ClientError, add_server_options, choose, open_client
from sensorium.serving.errors import UserError

if TYPE_CHECKING:
    from sensorium.benchmarks.soak.load import Outcomes
    from sensorium.benchmarks.soak.memory import Sample

__all__ = ["configure", "run"]

_EPILOG = """\
Start the server with small caches, or it grows until they are full:
  sensorium serve demo --media-cache-mb 32 --mm-processor-cache-gb 0.1 \\
      --kv-cache-memory-bytes 268435456
  sensorium bench soak --minutes 30
"""
_ROW = "{:>7}  {:>8}  {:>8}  {:>8}  {:>8}"
_SETTLE = 30.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = _EPILOG
    add_server_options(parser)
    add = parser.add_argument
    add("--minutes", type=float, default=30.0, metavar="N", help="how long (default: 30)")
    add("--clients", type=int, default=6, metavar="N", help="that ask at once (default: 6)")
    add("--every", type=float, default=10.0, metavar="SECONDS", help="samples (default: 10)")
    add("--seed", type=int, default=0, metavar="N", help="of what is sent")
    add("--json", type=Path, metavar="FILE", help="write counts and samples")


def run(args: argparse.Namespace, rest: Sequence[str] = ()) -> int:
    """Load the server; 1 when memory grew, an answer was wrong, or something is stuck."""
    from sensorium.benchmarks.measure.processes import find_server

    url = args.url.rstrip("/").removesuffix("/v1")
    pid = find_server(url)
    if pid is None:
        raise UserError(f"--url {args.url}: a soak reads memory of a server on this machine")
    if args.minutes * 60 < 8 * args.every or args.every <= 0:
        raise UserError("--minutes must be long enough for 8 samples (--every)")
    try:
        with open_client(args.url, args.api_key) as client:
            served = choose(client.models(), "chat")
    except ClientError as error:
        print(f"sensorium bench soak: {error}", file=sys.stderr)
        return 1
    model = args.model or (served.name if served else "")
    return asyncio.run(_soak(args, url, pid, model))


async def _soak(args: argparse.Namespace, url: str, pid: int, model: str) -> int:
    from sensorium.benchmarks.soak.load import run_clients
    from sensorium.benchmarks.soak.media import Items

    kinds = await _kinds(url, model, args.api_key)
    items = Items(kinds, args.seed)
    seconds = 60 * args.minutes
    print(f"{model}: {', '.join(sorted(kinds)) or 'text'}; {args.clients} clients, MiB resident:")
    samples: list[Sample] = []
    watching = asyncio.create_task(_watch(pid, args.every, samples))
    outcomes = await run_clients(
        url, model, items, clients=args.clients, seconds=seconds, key=args.api_key
    )
    watching.cancel()
    stuck = await _stuck(url, pid, args.api_key)
    return await _report(args, url, samples, outcomes, stuck)


async def _kinds(url: str, model: str, key: str | None) -> set[str]:
    entry: dict[str, Any] = (await _get(url, f"/v1/models/{model}", key)).json()
    return {kind for kind, most in (entry.get("media_limits") or {}).items() if most}


async def _get(url: str, path: str, key: str | None) -> Any:
    import httpx

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as http:
        return await http.get(path, timeout=60)


async def _watch(pid: int, every: float, samples: list[Sample]) -> None:
    from sensorium.benchmarks.soak.memory import sample

    began = time.monotonic()
    print(_ROW.format("s", "server", "engines", "workers", "total"), flush=True)
    while True:
        one = sample(pid, time.monotonic() - began)
        samples.append(one)
        sizes = (one.server, one.engines, one.workers, one.total)
        print(_ROW.format(f"{one.at:.0f}", *(size >> 20 for size in sizes)), flush=True)
        await asyncio.sleep(every)


async def _stuck(url: str, pid: int, key: str | None) -> int:
    """Media that still wait and processes that still compute, once the clients are gone."""
    from sensorium.benchmarks.soak.memory import busy_workers

    until = time.monotonic() + _SETTLE
    while True:
        waiting = (await _scraped(url, key)).values.get("sensorium_media_waiting", 0.0)
        stuck = int(waiting) + await asyncio.to_thread(busy_workers, pid)
        if not stuck or time.monotonic() > until:
            return stuck


async def _scraped(url: str, key: str | None) -> Any:
    from sensorium.benchmarks.measure.server_metrics import parse

    return parse((await _get(url, "/metrics", key)).text)


async def _report(
    args: argparse.Namespace,
    url: str,
    samples: list[Sample],
    outcomes: Outcomes,
    stuck: int,
) -> int:
    from sensorium.benchmarks.output.table import columns
    from sensorium.benchmarks.soak.memory import growth

    rows = [(name, outcome, str(n)) for (name, outcome), n in sorted(outcomes.counts.items())]
    print(columns([("", "answer", "times"), *rows]))
    for line in outcomes.wrong:
        print(f"wrong: {line}")
    grown = growth(samples)
    scraped = await _scraped(url, args.api_key)
    replaced = scraped.values.get("sensorium_media_workers_replaced", 0.0)
    lag = {
        bound: scraped.values["sensorium_event_loop_lag_seconds_count"] - below
        for bound, below in scraped.buckets.get("sensorium_event_loop_lag_seconds", {}).items()
    }
    over = ", ".join(f"{n:.0f} over {1000 * bound:g} ms" for bound, n in lag.items() if n)
    print(f"turns of the event loop since its start: {over or 'none over 2.5 ms'}")
    print(f"stuck: {stuck}; workers replaced: {replaced:.0f}")
    flat = "flat" if grown.flat else "NOT flat"
    print(
        f"memory is {flat}: {grown.bytes / 2**20:+.0f} MiB from the second quarter to the last, "
        f"{grown.bytes_an_hour / 2**20:+.0f} MiB an hour"
    )
    if args.json:
        _write(args, samples, outcomes, stuck)
    return int(bool(stuck or outcomes.wrong or not grown.flat))


def _write(args: argparse.Namespace, samples: list[Sample], outcomes: Outcomes, stuck: int) -> None:
    from dataclasses import asdict

    from sensorium.benchmarks.measure.machine import describe_machine, versions
    from sensorium.benchmarks.output.document import write_document

    counts = [[name, outcome, n] for (name, outcome), n in sorted(outcomes.counts.items())]
    document = {
        "schema_version": "1.0",
        "kind": "sensorium bench soak",
        "machine": describe_machine(),
        "versions": versions(),
        "minutes": args.minutes,
        "clients": args.clients,
        "counts": counts,
        "wrong": outcomes.wrong,
        "stuck": stuck,
        "samples": [asdict(one) for one in samples],
    }
    write_document(args.json, document)
