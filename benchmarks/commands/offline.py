"""`sensorium bench offline`: the engine's throughput without HTTP."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from sensorium.benchmarks.commands.options import add_workload_options, read_workload
from sensorium.serving.errors import UserError

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = "All requests of a round are given to the engine at once; chats only."
    parser.add_argument("model", nargs="?", default="demo", help="folder, hub id or known name")
    parser.add_argument("--num-requests", type=int, default=64, metavar="N", help="a round (64)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="(default: 3)")
    parser.add_argument("--engine-args", default="", metavar="ARGS", help="vLLM's arguments")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    add_workload_options(parser)


def run(args: argparse.Namespace, rest: Sequence[str] = ()) -> int:
    """Run the rounds after a short one that does not count."""
    if args.endpoint != "chat" or args.wire != "data":
        raise UserError("`bench offline` takes --endpoint chat and --wire data only")
    if args.num_requests < 1 or args.rounds < 1:
        raise UserError("--num-requests and --rounds must be 1 or more")
    from sensorium.benchmarks.commands.compare import equal_arguments
    from sensorium.benchmarks.compare.servers import model_source, set_machine_environment

    settings = read_workload(args, args.model)
    set_machine_environment()
    from sensorium.benchmarks.local.offline import load_engine, run_batch
    from sensorium.benchmarks.output.table import columns

    arguments = [*equal_arguments(frontend=False), *shlex.split(args.engine_args)]
    engine = load_engine(model_source(args.model), arguments)
    run_batch(engine, settings, min(4, args.num_requests), -1)
    batches = [run_batch(engine, settings, args.num_requests, i) for i in range(args.rounds)]
    rows: list[tuple[str, ...]] = [("round", "seconds", "requests/s", "input/s", "output/s")]
    for number, batch in enumerate(batches):
        amounts = (batch.requests, batch.input_tokens, batch.output_tokens)
        rates = (f"{amount / batch.seconds:.1f}" for amount in amounts)
        rows.append((str(number + 1), f"{batch.seconds:.2f}", *rates))
    print(columns(rows))
    if args.json:
        _write(args, batches)
    return 0


def _write(args: argparse.Namespace, batches: Sequence[object]) -> None:
    from sensorium.benchmarks.measure.machine import describe_machine, versions
    from sensorium.benchmarks.output.document import write_document

    document = {
        "schema_version": "1.0",
        "kind": "sensorium bench offline",
        "settings": {name: str(value) for name, value in vars(args).items()},
        "machine": describe_machine(),
        "versions": versions(),
        "rounds": [vars(batch) for batch in batches],
    }
    write_document(args.json, document)
