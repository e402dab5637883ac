"""Options that say what to send and how hard, shared by the commands that load a server."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from sensorium.benchmarks.load.arrivals import PROCESSES, Arrivals
from sensorium.benchmarks.load.runner import Level
from sensorium.benchmarks.workload.folder import list_media, read_prompts
from sensorium.benchmarks.workload.mix import (
    parse_frames,
    parse_mix,
    parse_seconds,
    parse_size,
)
from sensorium.benchmarks.workload.settings import ENDPOINTS, WorkloadSettings
from sensorium.benchmarks.workload.wire import WIRES
from sensorium.serving.errors import UserError

__all__ = [
    "add_load_options",
    "add_workload_options",
    "parse_image_format",
    "read_levels",
    "read_workload",
]

_DEFAULT_REQUESTS = 100
_IMAGE_FORMATS = ("jpeg", "png", "webp")
_SOUND_FORMATS = ("wav", "flac", "ogg", "mp3")


def add_load_options(parser: argparse.ArgumentParser) -> None:
    """How hard: closed or open loop, how long, ramps and sweeps."""
    group = parser.add_argument_group("load")
    how = group.add_mutually_exclusive_group()
    how.add_argument(
        "--concurrency", metavar="N[,N...]", help="closed loop: so many at once (default: 1)"
    )
    how.add_argument("--rate", metavar="R[,R...]", help="open loop: requests a second")
    add = group.add_argument
    add("--arrivals", choices=PROCESSES, default="poisson", help="gaps (default: poisson)")
    add(
        "--burstiness",
        type=float,
        default=1.0,
        metavar="S",
        help="gamma shape (default: 1)",
    )
    add("--ramp-to", type=float, metavar="R", help="let the one --rate grow to this")
    add("--ramp-seconds", type=float, metavar="S", help="within (default: --duration)")
    add("--sweep", action="store_true", help="double the load until the server is saturated")
    add("--max-concurrency", type=int, metavar="N", help="hold --rate back at so many at once")
    add("--num-requests", type=int, metavar="N", help="requests a level (default: 100)")
    add("--duration", type=float, metavar="S", help="seconds a level")
    add("--warmup", type=int, default=4, metavar="N", help="uncounted requests (default: 4)")
    add("--timeout", type=float, default=600.0, metavar="S", help="per request (default: 600)")


def add_workload_options(parser: argparse.ArgumentParser) -> None:
    """What to send."""
    group = parser.add_argument_group("requests")
    add = group.add_argument
    add("--endpoint", choices=ENDPOINTS, default="chat", help="(default: chat)")
    add("--input-tokens", type=int, default=64, metavar="N", help="of made text (default: 64)")
    add("--output-tokens", type=int, default=64, metavar="N", help="most to answer (default: 64)")
    add("--ignore-eos", action="store_true", help="always answer that many (vLLM's extension)")
    add("--no-stream", action="store_true", help="ask for whole answers; no TTFT, TPOT, ITL then")
    add("--prompts", type=Path, metavar="FILE", help="a prompt a line, or .jsonl")
    add("--images", metavar="MIX", help="made pictures, as 1280x720:0.7,640x480:0.3")
    add("--images-per-request", type=int, default=1, metavar="N", help="(default: 1)")
    add("--image-format", default="jpeg", metavar="MIX", help="jpeg, png, webp (default: jpeg)")
    add("--image-quality", type=int, default=90, metavar="Q", help="JPEG and WebP (default: 90)")
    add("--audio", metavar="MIX", help="made sounds, in seconds, as 5:3,20:1")
    add("--audio-format", choices=_SOUND_FORMATS, default="wav", help="(default: wav)")
    add("--video", metavar="MIX", help="made clips, as 8@640x360:2,32")
    add("--media", type=Path, nargs="+", metavar="FOLDER", help="your own pictures, sounds, videos")
    add("--reuse", type=float, default=0.0, metavar="R", help="share that repeats earlier media")
    add("--wire", choices=WIRES, default="data", help="data URL, http URL of this tool, or file id")
    add("--media-host", default="127.0.0.1", metavar="IP", help="where --wire http is served")
    add("--extra-body", metavar="JSON", help="more fields for every request")
    add("--seed", type=int, default=0, help="of all that is random (default: 0)")
    add("--prepare-mb", type=int, default=1024, metavar="MB", help="made before a level starts")


def read_workload(args: argparse.Namespace, model: str) -> WorkloadSettings:
    """The workload that the options describe; UserError for values that make none."""
    if not 0 <= args.reuse <= 1:
        raise UserError(f"--reuse must be between 0 and 1, got {args.reuse}")
    for name in ("input_tokens", "output_tokens", "images_per_request"):
        if getattr(args, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} must be 1 or more")
    return WorkloadSettings(
        model=model,
        endpoint=args.endpoint,
        seed=args.seed,
        input_tokens=args.input_tokens,
        output_tokens=args.output_tokens,
        prompts=read_prompts(args.prompts) if args.prompts else (),
        images=parse_mix(args.images, "--images", parse_size) if args.images else None,
        images_per_request=args.images_per_request,
        image_formats=parse_mix(args.image_format, "--image-format", parse_image_format),
        image_quality=args.image_quality,
        sounds=parse_mix(args.audio, "--audio", parse_seconds) if args.audio else None,
        sound_format=args.audio_format,
        clips=parse_mix(args.video, "--video", parse_frames) if args.video else None,
        files=list_media(args.media) if args.media else (),
        reuse=args.reuse,
        ignore_eos=args.ignore_eos,
        stream=not args.no_stream,
        extra_body=_extra_body(args.extra_body),
    )


def parse_image_format(text: str) -> str:
    """`jpeg`, `png` or `webp`; ValueError for another."""
    kind = {"jpg": "jpeg"}.get(text.lower(), text.lower())
    if kind not in _IMAGE_FORMATS:
        raise ValueError(f"one of {', '.join(_IMAGE_FORMATS)} is wanted")
    return kind


def _extra_body(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        body = json.loads(text)
    except ValueError as error:
        raise UserError(f"--extra-body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise UserError(f"--extra-body must be a JSON object, got {text}")
    return body


def read_levels(args: argparse.Namespace) -> tuple[Level, ...]:
    """The levels to run, in order."""
    requests, seconds = args.num_requests, args.duration
    if requests is None and seconds is None:
        requests = _DEFAULT_REQUESTS
    if (requests is not None and requests < 1) or (seconds is not None and seconds <= 0):
        raise UserError("--num-requests and --duration must be above 0")
    if args.rate is None:
        if args.ramp_to is not None:
            raise UserError("--ramp-to is for an open loop; give --rate too")
        levels = [
            Level(concurrency=round(number), requests=requests, seconds=seconds)
            for number in _numbers(args.concurrency or "1", "--concurrency", 1)
        ]
    else:
        levels = [
            Level(
                arrivals=_arrivals(args, rate),
                requests=requests,
                seconds=seconds,
                most_at_once=args.max_concurrency,
            )
            for rate in _numbers(args.rate, "--rate", 0)
        ]
    if (args.sweep or args.ramp_to is not None) and len(levels) > 1:
        raise UserError("--sweep and --ramp-to begin at one level; give one number")
    return tuple(levels)


def _arrivals(args: argparse.Namespace, rate: float) -> Arrivals:
    if args.burstiness <= 0:
        raise UserError(f"--burstiness must be above 0, got {args.burstiness}")
    ramp_seconds = args.ramp_seconds or args.duration or 0.0
    if args.ramp_to is not None and (args.ramp_to <= 0 or not ramp_seconds):
        raise UserError("--ramp-to needs a rate above 0, and --ramp-seconds or --duration")
    return Arrivals(rate, args.arrivals, args.burstiness, args.ramp_to, ramp_seconds, args.seed)


def _numbers(text: str, option: str, least: float) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or any(n < least or n <= 0 or not math.isfinite(n) for n in numbers):
        raise UserError(f"{option} {text}: write positive numbers with commas, as in 1,4,16")
    return numbers
