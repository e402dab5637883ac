"""`sensorium transcribe`: write down what is said in recordings."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sensorium.serving.client import (
    AnswerError,
    Client,
    ClientError,
    add_server_options,
    open_client,
)
from sensorium.serving.errors import UserError

__all__ = ["SUMMARY", "configure", "run"]

SUMMARY = "write down what is said in a sound file"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `sensorium transcribe`."""
    add_server_options(parser)
    parser.add_argument(
        "--language", metavar="L", help="such as en or de (default: the model finds out)"
    )
    parser.add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help="text: the words, after `FILE: ` when there are several files; json: an object a line",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="F", help="WAV, MP3, FLAC, OGG, M4A")


def run(args: argparse.Namespace, rest: Sequence[str] = ()) -> int:
    """Transcribe each file in turn; 1 when one of them could not be."""
    for path in args.files:
        if not path.is_file():
            raise UserError(f"{path}: no such file")
    failed = False
    try:
        with open_client(args.url, args.api_key) as client:
            fields = {"model": args.model or _default_model(client), "response_format": "json"}
            if args.language is not None:
                fields["language"] = args.language
            for path in args.files:
                try:
                    answer = client.transcribe(path, fields)
                except AnswerError as error:
                    print(f"sensorium transcribe: {path}: {error}", file=sys.stderr)
                    failed = True
                except OSError as error:
                    raise UserError(f"{path}: {error.strerror}") from None
                else:
                    print(_line(path, answer, args), flush=True)
    except ClientError as error:
        print(f"sensorium transcribe: {error}", file=sys.stderr)
        failed = True
    return 1 if failed else 0


def _line(path: Path, answer: dict[str, Any], args: argparse.Namespace) -> str:
    if args.format == "json":
        return json.dumps({"file": str(path), **answer}, ensure_ascii=False)
    text = str(answer.get("text", "")).strip()
    return text if len(args.files) == 1 else f"{path}: {text}"


def _default_model(client: Client) -> str:
    """The first model made for speech, else any that transcribes.

    Models that also chat may offer transcription too, but write worse transcripts. A server that
    does not tell what its models can do is judged by their names.
    """
    models = client.models()
    able = [model for model in models if model.can("transcription")]
    made_for_it = [model for model in able if not model.can("chat")]
    named = [model for model in models if "whisper" in model.name.lower()]
    candidates = made_for_it or able or named
    if not candidates:
        raise ClientError(
            f"no served model transcribes speech ({', '.join(model.name for model in models)}); "
            "run `sensorium pull whisper-base` and serve it too"
        )
    return candidates[0].name
