"""`sensorium ask`: put a question to a served model, with pictures, a sound or a video."""

from __future__ import annotations

import argparse
import base64
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sensorium.serving.client import (
    Client,
    ClientError,
    add_server_options,
    choose,
    open_client,
)
from sensorium.serving.errors import UserError

__all__ = ["SUMMARY", "configure", "content_parts", "run"]

SUMMARY = "ask a served model about images, sounds or a video"

# The part of a MIME type after the slash, where it is not just the suffix.
SUBTYPES = {
    "jpg": "jpeg",
    "tif": "tiff",
    "mp3": "mpeg",
    "m4a": "mp4",
    "oga": "ogg",
    "mov": "quicktime",
    "mkv": "x-matroska",
    "avi": "x-msvideo",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `sensorium ask`."""
    add_server_options(parser)
    parser.add_argument(
        "--image", action="append", default=[], metavar="F", help="a file or URL; may be repeated"
    )
    parser.add_argument("--audio", metavar="F", help="a sound: file or URL")
    parser.add_argument("--video", metavar="F", help="a video: file or URL")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="longest answer, in tokens")
    parser.add_argument("--temperature", type=float, metavar="T", help="0 for the likeliest answer")
    parser.add_argument("question", help="in quotes")
    parser.epilog = 'Example: sensorium ask --image photo.jpg "What is in the picture?"'


def run(args: argparse.Namespace, rest: Sequence[str] = ()) -> int:
    """Stream the answer to stdout; 1 when the server does not give one."""
    body: dict[str, Any] = {"messages": [{"role": "user", "content": content_parts(args)}]}
    if args.max_tokens is not None:
        body["max_completion_tokens"] = args.max_tokens
    if args.temperature is not None:
        body["temperature"] = args.temperature
    try:
        with open_client(args.url, args.api_key) as client:
            body["model"] = args.model or _default_model(client)
            _print_answer(client, body)
    except ClientError as error:
        print(f"sensorium ask: {error}", file=sys.stderr)
        return 1
    return 0


def content_parts(args: argparse.Namespace) -> list[dict[str, Any]]:
    """The content of the user's message: the media, then the question."""
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": _url("image", image)}} for image in args.image
    ]
    if args.audio is not None:
        parts.append(_audio_part(args.audio))
    if args.video is not None:
        parts.append({"type": "video_url", "video_url": {"url": _url("video", args.video)}})
    return [*parts, {"type": "text", "text": args.question}]


def _audio_part(source: str) -> dict[str, Any]:
    # OpenAI's own part takes these two formats and no URL; other sounds go as vLLM's extension.
    kind = _suffix(source)
    if kind in ("wav", "mp3") and not _is_url(source):
        return {"type": "input_audio", "input_audio": {"data": _base64(source), "format": kind}}
    return {"type": "audio_url", "audio_url": {"url": _url("audio", source)}}


def _url(kind: str, source: str) -> str:
    """`source` itself when it is a URL, else the file as a data URL."""
    if _is_url(source):
        return source
    suffix = _suffix(source) or "*"
    return f"data:{kind}/{SUBTYPES.get(suffix, suffix)};base64,{_base64(source)}"


def _is_url(source: str) -> bool:
    return source.startswith(("http://", "https://", "data:"))


def _suffix(source: str) -> str:
    return Path(source).suffix.lower().removeprefix(".")


def _base64(source: str) -> str:
    try:
        return base64.b64encode(Path(source).read_bytes()).decode("ascii")
    except OSError as error:
        raise UserError(f"{source}: {error.strerror}") from None


def _default_model(client: Client) -> str:
    models = client.models()
    return (choose(models, "chat") or models[0]).name


def _print_answer(client: Client, body: dict[str, Any]) -> None:
    ended = None
    for piece in client.chat(body):
        print(piece.text, end="", flush=True)
        ended = piece.finish_reason or ended
    print()
    if ended == "length":
        print("(cut off: the answer reached its token limit, see --max-tokens)", file=sys.stderr)
