"""`sensorium bench serve`: load a running server and measure its answers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sensorium.benchmarks.commands.options import (
    add_load_options,
    add_workload_options,
    read_levels,
    read_workload,
)
from sensorium.benchmarks.measure.goodput import parse_limits
from sensorium.serving.client import ClientError, add_server_options, choose, open_client
from sensorium.serving.errors import UserError

if TYPE_CHECKING:
    from sensorium.benchmarks.session import Session

__all__ = ["configure", "run"]

_CAPABILITIES = {"transcriptions": "transcription", "embeddings": "embeddings"}
_EPILOG = """\
examples:
  sensorium bench serve --images 1280x720 --concurrency 1,4,16
  sensorium bench serve --rate 2 --duration 60 --audio 5,20 --goodput ttft:500 tpot:50
  sensorium bench serve --images 640x480 --reuse 0.5 --rate 1 --sweep --html report.html
  sensorium bench serve --endpoint transcriptions --audio 20 --json run.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = _EPILOG
    add_server_options(parser)
    add_load_options(parser)
    add_workload_options(parser)
    group = parser.add_argument_group("results")
    group.add_argument(
        "--goodput",
        nargs="+",
        default=[],
        metavar="M:MS",
        help="limits, as ttft:500 tpot:50",
    )
    group.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
    group.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")
    group.add_argument("--save-requests", action="store_true", help="each request into --json")
    group.add_argument("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace, rest: Sequence[str] = ()) -> int:
    """Run the levels; 1 when no request was answered or the server is not there."""
    levels = read_levels(args)
    limits = parse_limits(args.goodput)
    try:
        model = args.model or _first_model(args)
        workload = read_workload(args, model)
        session = _measure(args, levels, limits, workload)
    except ClientError as error:
        print(f"sensorium bench serve: {error}", file=sys.stderr)
        return 1
    _show(session)
    document = _document(args, session)
    if args.json:
        from sensorium.benchmarks.output.document import write_document

        dropped = set() if args.save_requests else {"requests"}
        write_document(args.json, {k: v for k, v in document.items() if k not in dropped})
    if args.html:
        from sensorium.benchmarks.output.page import write_page

        write_page(args.html, document)
    return 0 if any(level["answered"] for level in session.results) else 1


def _first_model(args: argparse.Namespace) -> str:
    wanted = _CAPABILITIES.get(args.endpoint, args.endpoint)
    with open_client(args.url, args.api_key) as client:
        models = client.models()
    return (choose(models, wanted) or models[0]).name


def _measure(
    args: argparse.Namespace, levels: Any, limits: dict[str, float], workload: Any
) -> Session:
    try:
        from sensorium.benchmarks.load.loop import run as run_loop
        from sensorium.benchmarks.output.display import Display
        from sensorium.benchmarks.session import Plan, run_plan
    except ModuleNotFoundError as error:
        raise UserError(
            f"{error.name} is not installed; `pip install 'sensorium[bench]'`"
        ) from None
    plan = Plan(
        root=args.url.rstrip("/").removesuffix("/v1"),
        api_key=args.api_key,
        workload=workload,
        levels=levels,
        climb=args.sweep,
        warmup=args.warmup,
        wire=args.wire,
        media_host=args.media_host,
        limits=limits,
        timeout_seconds=args.timeout,
        prepare_bytes=args.prepare_mb << 20,
    )
    return run_loop(run_plan(plan, Display(sys.stderr, quiet=args.quiet)))


def _show(session: Session) -> None:
    from sensorium.benchmarks.output.table import level_text, sweep_text

    for level in session.results:
        print(level_text(level), end="\n\n")
    if len(session.results) > 1:
        print(sweep_text(session.results))


def _document(args: argparse.Namespace, session: Session) -> dict[str, Any]:
    from sensorium.benchmarks.output.document import judged_level, make_document, request_rows
    from sensorium.benchmarks.session import describe_server

    settings = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(args).items()
        if name not in {"api_key", "json", "html", "quiet", "bench_command", "media", "prompts"}
    }
    settings |= {
        "model": session.workload.model,
        "words_per_token": session.workload.words_per_token,
        "media": [str(folder) for folder in args.media or ()],
        "prompts": str(args.prompts) if args.prompts else None,
    }
    root = args.url.rstrip("/").removesuffix("/v1")
    return make_document(
        settings,
        session.results,
        describe_server(root, args.api_key),
        judged_level(session.results),
        [request_rows(run) for run in session.runs],
    )
