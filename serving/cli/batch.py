"""`sensorium batch INPUT OUTPUT`: answer every row of a file, whatever happens on the way."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from sensorium.serving.cli.serve import add_option
from sensorium.serving.errors import UserError
from sensorium.serving.model_choices import CHOICES
from sensorium.serving.settings import OPTIONS, load_settings

if TYPE_CHECKING:
    from sensorium.serving.batch.bodies import RowMaker
    from sensorium.serving.batch.inputs import BatchInput
    from sensorium.serving.batch.job import Job
    from sensorium.serving.batch.tables import Columns

__all__ = ["PASSES_UNKNOWN_OPTIONS", "SUMMARY", "configure", "run"]

PASSES_UNKNOWN_OPTIONS = True
SUMMARY = "answer every row of a file, resuming where it was stopped"
_ENDPOINTS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "responses": "/v1/responses",
    "transcriptions": "/v1/audio/transcriptions",
    "translations": "/v1/audio/translations",
}
_MEDIA_BYTES = 256 << 20
_SHARED = ("device", "log-level", "allow-private-media", *CHOICES)
_ENGINE = [o for o in OPTIONS if o.engine or o.name in _SHARED]
_EPILOG = """\
INPUT is a .jsonl file in OpenAI's batch format, or with a body or a list of messages a line; a
.csv, .tsv or .parquet file; or a folder or 'pattern*' of images or sounds. OUTPUT gets one line an
answered row (or Parquet, if it ends so), OUTPUT.errors.jsonl the rows that failed,
OUTPUT.manifest.json what was run. The same command, run again, goes on where it was stopped.

Without --url an engine is started in this process; options that are not listed here are passed to
it, as with `sensorium serve`.

examples:
  sensorium batch requests.jsonl answers.jsonl --model Qwen/Qwen2.5-VL-3B-Instruct
  sensorium batch photos/ captions.jsonl --prompt "Describe the image."
  sensorium batch table.csv answers.jsonl --prompt question --image file
  sensorium batch calls/ words.jsonl --endpoint transcriptions --model whisper-base
  sensorium batch requests.jsonl answers.jsonl --url http://127.0.0.1:8000
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `sensorium batch`."""
    parser.epilog = _EPILOG
    parser.add_argument("input", metavar="INPUT", help="a file, a folder or a 'pattern*'")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="a .jsonl or .parquet file")
    asked = parser.add_argument_group("who is asked")
    asked.add_argument("--model", metavar="M", help="a model, as with serve (default: demo)")
    asked.add_argument("--url", help="an OpenAI-compatible server; then --model is one it lists")
    asked.add_argument(
        "--api-key",
        metavar="K",
        default=os.environ.get("SENSORIUM_API_KEY"),
        help="the server's key (default: $SENSORIUM_API_KEY)",
    )
    _add_rows(parser.add_argument_group("what is asked"))
    _add_running(parser.add_argument_group("how it runs"))
    engine = parser.add_argument_group("engine (as in vLLM)")
    for option in _ENGINE:
        add_option(engine, option)


def _add_rows(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--endpoint",
        choices=tuple(_ENDPOINTS),
        default="chat",
        help="what rows without a `url` ask for (default: chat)",
    )
    group.add_argument(
        "--prompt", metavar="P", help="a table: the column, or a text with spaces; else: the text"
    )
    for name in ("image", "audio", "video"):
        group.add_argument(f"--{name}", metavar="COLUMN", help=f"column with {name} paths or URLs")
    group.add_argument("--id", metavar="COLUMN", help="column with the custom_id")
    group.add_argument("--system", metavar="TEXT", help="system message of rows made here")
    group.add_argument(
        "--media-root",
        type=Path,
        metavar="FOLDER",
        help="folder below which paths may lie (default: the input's)",
    )
    group.add_argument("--max-tokens", type=int, metavar="N", help="longest answer, in tokens")
    group.add_argument("--temperature", type=float, metavar="T", help="0 for the likeliest answer")
    group.add_argument("--seed", type=int, metavar="N", help="of the sampling")
    group.add_argument("--body", metavar="JSON", help="more fields for rows that lack them")


def _add_running(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--max-inflight",
        type=int,
        metavar="N",
        help="rows asked at once (default: what keeps the engine full; with --url 128)",
    )
    group.add_argument(
        "--max-retries", type=int, default=8, metavar="N", help="further tries of a row (8)"
    )
    group.add_argument("--timeout", type=float, metavar="SECONDS", help="of a try (default: none)")
    group.add_argument(
        "--longest-first", action="store_true", help="ask the longest of the next rows first"
    )
    group.add_argument("--restart", action="store_true", help="forget what is done, begin anew")
    group.add_argument(
        "--retry-failed",
        action="store_true",
        help="try rows again that failed for lack of a server",
    )
    group.add_argument("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace, rest: Sequence[str] = ()) -> int:
    """Run or resume the batch: 0 all rows finished, 1 stopped by a failure, 130 by Ctrl-C."""
    from sensorium.serving.batch.errors import BatchStoppedError
    from sensorium.serving.batch.inputs import open_input
    from sensorium.serving.batch.job import Job, forget_failed_tries
    from sensorium.serving.client import ClientError

    least = 1 if args.max_inflight is None else args.max_inflight
    if least < 1 or args.max_retries < 0:
        raise UserError("--max-inflight must be at least 1, --max-retries at least 0")
    if args.url and rest:
        raise UserError(f"unknown option {rest[0]} (with --url there is no engine to pass it to)")
    try:
        maker = _maker(args)
        found = open_input(args.input, maker, _columns(args))
        forgotten = forget_failed_tries(args.output) if args.retry_failed else 0
        with Job(args.output, _settings(args, rest, maker, found), restart=args.restart) as job:
            if job.finished and not forgotten:
                print(f"sensorium batch: all {found.total:,} rows are done, in {args.output}")
                return 0
            return _run(args, rest, job, found)
    except (BatchStoppedError, ClientError) as error:
        print(f"sensorium batch: {error}", file=sys.stderr)
        return 1


def _run(args: argparse.Namespace, rest: Sequence[str], job: Job, found: BatchInput) -> int:
    import asyncio

    from sensorium.serving.batch.media import MediaFiles
    from sensorium.serving.batch.retry import RetryPolicy
    from sensorium.serving.batch.runner import RunOptions
    from sensorium.serving.batch.session import Session
    from sensorium.serving.batch.target import Target, url_target

    files = MediaFiles(args.media_root or found.media_root, _MEDIA_BYTES)
    retry = RetryPolicy(retries=args.max_retries)
    lookahead = 8 if args.longest_first else 0

    async def answer(target: Target, stream: TextIO) -> int:
        inflight = args.max_inflight or target.inflight
        options = RunOptions(
            inflight=inflight, timeout=args.timeout, lookahead=lookahead * inflight, retry=retry
        )
        return await Session(job, found, files, options, stream, args.quiet).run(target)

    if args.url:

        async def over_http() -> int:
            target = url_target(args.url, args.api_key, args.max_inflight)
            try:
                return await answer(target, sys.stderr)
            finally:
                await target.close()

        return asyncio.run(over_http())

    from sensorium.serving.batch.local import with_engine
    from sensorium.serving.engine.log import EngineLog

    async def in_process(target: Target, log: EngineLog) -> int:
        return await answer(target, log.terminal)  # past the pipe that holds the engine's log

    given = {option.dest: getattr(args, option.dest) for option in _ENGINE if option.dest in args}
    variables = {option.variable for option in _ENGINE} & os.environ.keys()
    settings = load_settings(
        {**given, "models": [args.model or "demo"]},
        rest,
        {name: os.environ[name] for name in variables},
    )
    return with_engine(settings, in_process, quiet=args.quiet)


def _columns(args: argparse.Namespace) -> Columns:
    from sensorium.serving.batch.tables import Columns

    return Columns(args.prompt, args.image, args.audio, args.video, args.id)


def _maker(args: argparse.Namespace) -> RowMaker:
    from sensorium.serving.batch.bodies import RowMaker

    endpoint = _ENDPOINTS[args.endpoint]
    defaults = _body(args.body)
    longest = "max_completion_tokens" if args.endpoint == "chat" else "max_tokens"
    given = {longest: args.max_tokens, "temperature": args.temperature, "seed": args.seed}
    defaults |= {name: value for name, value in given.items() if value is not None}
    model = args.model
    if not args.url:
        # One engine, one model, whatever name the rows were written for.
        model = _served_name(args.model or "demo")
    elif model is None:
        defaults |= {"model": _first_model(args)}
    return RowMaker(endpoint, model, args.system, defaults)


def _body(text: str | None) -> dict[str, Any]:
    try:
        parsed = json.loads(text) if text else {}
    except ValueError as error:
        raise UserError(f"--body is not valid JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise UserError("--body must be a JSON object, such as '{\"top_p\": 0.9}'")
    return parsed


def _served_name(model: str) -> str:
    from sensorium.serving.settings import ModelRequest

    request = ModelRequest.parse(model)
    if request.name:
        return request.name
    return Path(request.source).name if Path(request.source).is_dir() else request.source


def _first_model(args: argparse.Namespace) -> str:
    """What rows that name no model are asked of; also tells early that nobody answers."""
    from sensorium.serving.client import choose, open_client

    capability = {"translations": "transcription", "transcriptions": "transcription"}.get(
        args.endpoint, "chat" if args.endpoint == "responses" else args.endpoint
    )
    with open_client(args.url, args.api_key) as client:
        models = client.models()
        return (choose(models, capability) or models[0]).name


def _settings(
    args: argparse.Namespace, rest: Sequence[str], maker: RowMaker, found: BatchInput
) -> dict[str, Any]:
    """All that the answers depend on; a resumed batch must have the same."""
    engine = {
        o.name: getattr(args, o.dest)
        for o in OPTIONS
        if (o.engine or o.name in CHOICES) and o.dest in args
    }
    root = args.media_root
    return {
        "input": found.digest,
        "rows": found.total,
        "kind": found.kind,
        "endpoint": maker.endpoint,
        "model": maker.model or maker.defaults.get("model"),
        "engine_options": [*(f"{k}={v}" for k, v in engine.items()), *rest],
        "parameters": {k: v for k, v in maker.defaults.items() if k != "model"},
        "prompt": args.prompt,
        "system": args.system,
        "columns": {name: getattr(args, name) for name in ("image", "audio", "video", "id")},
        "media_root": None if root is None else str(Path(root).resolve()),
    }
