"""`sensorium serve`: load models and answer over HTTP until told to stop."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from sensorium.serving.settings import OPTIONS, Option, load_settings

__all__ = ["PASSES_UNKNOWN_OPTIONS", "add_option", "configure", "run"]

PASSES_UNKNOWN_OPTIONS = True
_EPILOG = """\
With no MODEL the models that come with Sensorium are served: `demo`, and `whisper-base` once
`sensorium pull whisper-base` has fetched it.

Any other option is passed to the engine: every engine argument of vLLM works here. An option may
also be given as an environment variable (SENSORIUM_MAX_MODEL_LEN=4096) or in a YAML file; the
command line wins over the environment, the environment over the file, the file over the default.

examples:
  sensorium serve
  sensorium serve Qwen/Qwen2.5-VL-3B-Instruct --max-model-len 8192 --dtype bfloat16
  sensorium serve eyes=./llava-1.5 ears=openai/whisper-small --api-key secret
  sensorium serve --config server.yaml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `serve`."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="a path, a hub id or NAME=PATH_OR_ID"
    )
    parser.add_argument(
        "--config", metavar="FILE", default=argparse.SUPPRESS, help="YAML file with settings"
    )
    server = parser.add_argument_group("server")
    engine = parser.add_argument_group("engine (as in vLLM)")
    for option in OPTIONS:
        add_option(engine if option.engine else server, option)


def add_option(group: argparse._ArgumentGroup, option: Option) -> None:
    """Add a setting as an option that is absent from the namespace unless it is given."""
    text = option.help
    if option.default not in (None, False):
        text += f" (default: {option.default})"
    if option.kind is bool:
        group.add_argument(
            f"--{option.name}", action="store_true", default=argparse.SUPPRESS, help=text
        )
        return
    group.add_argument(
        f"--{option.name}",
        action="extend" if option.many else "store",
        nargs="+" if option.many else None,
        metavar=option.metavar or option.name.rpartition("-")[2].upper(),
        default=argparse.SUPPRESS,
        help=text,
    )


def run(args: argparse.Namespace, rest: Sequence[str]) -> int:
    """Serve until SIGTERM or Ctrl-C; 0 after a clean stop, 1 when a model did not load."""
    settings = load_settings(vars(args), rest, os.environ)
    # Imported late: `--help` and a wrong option must answer at once.
    from sensorium.serving.server import serve

    return serve(settings)
