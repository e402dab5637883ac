"""A whole run of `sensorium bench serve`: warm-up, levels, scrapes, results."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from sensorium.benchmarks.client.calibrate import words_per_token
from sensorium.benchmarks.client.http import HttpClient, open_http
from sensorium.benchmarks.load.runner import Level, LevelRun, run_level
from sensorium.benchmarks.load.sweep import Climb
from sensorium.benchmarks.measure.level import LevelResult, ServerSide, measure_level
from sensorium.benchmarks.measure.machine import load_average
from sensorium.benchmarks.measure.processes import ProcessWatch, find_server
from sensorium.benchmarks.measure.server_metrics import Scrape, caches, parse, stages
from sensorium.benchmarks.output.display import Display
from sensorium.benchmarks.workload.media_host import hosted_wire
from sensorium.benchmarks.workload.settings import WorkloadSettings
from sensorium.benchmarks.workload.supply import Supply
from sensorium.benchmarks.workload.uploads import uploaded_wire
from sensorium.benchmarks.workload.wire import DataWire, Wire
from sensorium.benchmarks.workload.workload import Workload
from sensorium.serving.client import LOOPBACK
from sensorium.serving.errors import UserError

__all__ = [
    "Plan",
    "Session",
    "describe_server",
    "open_wire",
    "run_level_once",
    "run_plan",
    "warm_up",
]

# A level's own seeds lie this far apart, so that no level finds another's requests in a cache.
_SEED_STEP = 1_000_003


@dataclass(frozen=True)
class Plan:
    """What to run. With `climb` the only level is the first of a search for saturation."""

    root: str
    api_key: str | None
    workload: WorkloadSettings
    levels: tuple[Level, ...]
    climb: bool = False
    warmup: int = 4
    wire: str = "data"
    media_host: str = "127.0.0.1"
    limits: Mapping[str, float] = field(default_factory=dict)
    timeout_seconds: float = 600.0
    prepare_bytes: int = 1 << 30


@dataclass
class Session:
    """What a plan came to. `runs` are the single requests behind `results`, level by level."""

    workload: WorkloadSettings
    results: list[LevelResult] = field(default_factory=list)
    runs: list[LevelRun] = field(default_factory=list)


@contextmanager
def open_wire(name: str, root: str, api_key: str | None, host: str) -> Iterator[Wire]:
    """The wire of that name (`data`, `http`, `file`) to the server at `root`."""
    if name == "http":
        with hosted_wire(host) as hosted:
            yield hosted
    elif name == "file":
        with uploaded_wire(root, api_key) as uploaded:
            yield uploaded
    else:
        yield DataWire()


async def run_plan(plan: Plan, display: Display) -> Session:
    """Run it. UserError when the warm-up shows that the server does not take such requests."""
    async with open_http(plan.root, plan.api_key, plan.timeout_seconds) as http:
        ratio = await words_per_token(http, plan.workload)
        workload = plan.workload if ratio is None else replace(plan.workload, words_per_token=ratio)
        session = Session(workload)
        with open_wire(plan.wire, plan.root, plan.api_key, plan.media_host) as wire:
            await warm_up(plan, workload, wire, http, display)
            for level in _levels(plan, session):
                seed = workload.seed + _SEED_STEP * len(session.results)
                supply = Supply(Workload(replace(workload, seed=seed), wire), plan.prepare_bytes)
                run, server = await run_level_once(plan, level, supply, http, display)
                session.runs.append(run)
                session.results.append(measure_level(run, plan.limits, server, seed=seed))
        display.clear()
        return session


def _levels(plan: Plan, session: Session) -> Iterable[Level]:
    if not plan.climb:
        yield from plan.levels
        return
    climb = Climb(plan.levels[0])
    for level in climb.levels():
        yield level
        climb.add(session.runs[-1])


async def warm_up(
    plan: Plan, settings: WorkloadSettings, wire: Wire, http: HttpClient, display: Display
) -> None:
    """Requests that do not count; numbers below zero, so their media are never sent again."""
    if not plan.warmup:
        return
    display.note(f"warm-up: {plan.warmup} requests")
    supply = Supply(Workload(settings, wire), 1 << 62, first=-plan.warmup)
    await supply.prepare(plan.warmup)
    first = plan.levels[0]
    at_once = min(plan.warmup, first.concurrency or first.most_at_once or 4)
    run = await run_level(Level(concurrency=at_once, requests=plan.warmup), http, supply)
    failed = [record for record in run.records if not record.ok]
    if len(failed) == len(run.records):
        raise UserError(
            f"all {plan.warmup} warm-up requests failed; the first: {failed[0].error}: "
            f"{failed[0].detail}"
        )


async def run_level_once(
    plan: Plan, level: Level, supply: Supply, http: HttpClient, display: Display
) -> tuple[LevelRun, ServerSide]:
    """Run a level with a scrape before and after it, and the server's processes watched."""
    count = _requests_of(level)
    display.note(f"{level.name}: making {count} requests")
    await supply.prepare(count)
    watch = ProcessWatch(find_server(plan.root))
    before = await _scrape(plan)
    await watch.start()
    followers: list[asyncio.Task[None]] = []
    run = await run_level(
        level,
        http,
        supply,
        on_start=lambda run: followers.append(asyncio.create_task(display.follow(run))),
    )
    for follower in followers:
        follower.cancel()
    used = await watch.stop()
    after = await _scrape(plan)
    return run, ServerSide(
        stages=stages(before, after) if before and after else {},
        caches=caches(before, after) if before and after else {},
        processes=used,
        load_average=load_average(),
    )


def _requests_of(level: Level) -> int:
    """How many requests to make beforehand; a closed loop of seconds cannot know."""
    if level.requests is not None:
        return level.requests
    if level.arrivals is not None and level.seconds is not None:
        return sum(1 for _ in _until(level.arrivals.times(), level.seconds))
    return 64 * (level.concurrency or 1)


def _until(times: Iterator[float], seconds: float) -> Iterator[float]:
    for due in times:
        if due >= seconds:
            return
        yield due


async def _scrape(plan: Plan) -> Scrape | None:
    """The server's metrics, or None where it shows none."""
    headers = {"Authorization": f"Bearer {plan.api_key}"} if plan.api_key else {}
    local = httpx.URL(plan.root).host in LOOPBACK
    try:
        async with httpx.AsyncClient(headers=headers, timeout=10, trust_env=not local) as client:
            answer = await client.get(f"{plan.root}/metrics")
        return parse(answer.text, plan.workload.model) if answer.status_code == 200 else None
    except (httpx.HTTPError, ValueError):
        return None


def describe_server(root: str, api_key: str | None) -> dict[str, Any]:
    """What /version and /v1/models say, as far as they answer."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    local = httpx.URL(root).host in LOOPBACK
    found: dict[str, Any] = {"url": root}
    with httpx.Client(headers=headers, timeout=10, trust_env=not local) as client:
        for name, path in (("version", "/version"), ("models", "/v1/models")):
            with contextlib.suppress(httpx.HTTPError, ValueError):
                answer = client.get(f"{root}{path}")
                if answer.status_code == 200:
                    found[name] = answer.json()
    return found
