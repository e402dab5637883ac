"""`sensorium transcribe`: write down what is said in recordings."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sensorium.serving.batch.display import duration
from sensorium.serving.client import (
    AnswerError,
    Client,
    ClientError,
    add_server_options,
    open_client,
)
from sensorium.serving.errors import UserError

__all__ = ["SUMMARY", "configure", "run"]

SUMMARY = "write down what is said in sound and video files"

_ENDINGS = {"text": "txt", "json": "json", "verbose_json": "json", "srt": "srt", "vtt": "vtt"}
# What is taken from a folder; a file that is named is taken whatever it is called.
_SOUND = ".aac .aiff .amr .flac .m4a .m4b .mka .mp3 .oga .ogg .opus .wav .wma"
_VIDEO = ".avi .m4v .mkv .mov .mp4 .mpeg .mpg .webm"
_SUFFIXES = frozenset([*_SOUND.split(), *_VIDEO.split()])


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `sensorium transcribe`."""
    add_server_options(parser)
    parser.add_argument(
        "--language", metavar="L", help="such as en or de (default: the model finds out)"
    )
    parser.add_argument("--translate", action="store_true", help="write it in English")
    parser.add_argument("--prompt", metavar="TEXT", help="names and words that may be said")
    parser.add_argument(
        "--format",
        choices=tuple(_ENDINGS),
        default="text",
        help="text: the words, after `FILE: ` when there are several files; json and verbose_json: "
        "an object a line; srt and vtt: subtitles",
    )
    parser.add_argument(
        "--words", action="store_true", help="with verbose_json: the time of each word too"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write a file a recording into this folder; what is there already is not done again",
    )
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="F",
        help="sound or video files, or folders of them",
    )


@dataclass(frozen=True)
class _Job:
    """A recording, where its text goes (None: to the screen), and its length where it tells."""

    path: Path
    target: Path | None
    seconds: float


@dataclass
class _Meter:
    """Files, speed and time left, on one line of a terminal; nothing elsewhere."""

    jobs: Sequence[_Job]
    began: float = field(default_factory=time.monotonic)
    done: int = 0
    seconds: float = 0.0

    def show(self, job: _Job) -> None:
        """Say which file is at work."""
        if not sys.stderr.isatty():
            return
        parts = [f"{self.done}/{len(self.jobs)} files"]
        spent = time.monotonic() - self.began
        if self.seconds > 0 and spent > 0:
            speed = self.seconds / spent
            left = sum(each.seconds for each in self.jobs[self.done :]) / speed
            parts += [f"{speed:.1f} times as fast as speech", f"{duration(left)} left"]
        print(f"\r\x1b[K{', '.join(parts)}: {job.path.name}", end="", file=sys.stderr, flush=True)

    def finish(self, job: _Job) -> None:
        """Count a file and clear the line."""
        self.done += 1
        self.seconds += job.seconds
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def run(args: argparse.Namespace, rest: Sequence[str] = ()) -> int:
    """Transcribe each file in turn; 1 when one of them could not be."""
    if args.words and args.format != "verbose_json":
        raise UserError("--words needs --format verbose_json, which has a place for them")
    jobs = _jobs(args)
    waiting = [job for job in jobs if job.target is None or not job.target.exists()]
    if len(waiting) < len(jobs):
        done = len(jobs) - len(waiting)
        print(f"sensorium transcribe: {done} of {len(jobs)} are there already", file=sys.stderr)
    failed = False
    try:
        with open_client(args.url, args.api_key) as client:
            failed = not _all(client, args, waiting, many=len(jobs) > 1)
    except ClientError as error:
        print(f"sensorium transcribe: {error}", file=sys.stderr)
        failed = True
    return 1 if failed else 0


def _all(client: Client, args: argparse.Namespace, jobs: Sequence[_Job], *, many: bool) -> bool:
    """Whether every recording was written down."""
    if not jobs:
        return True
    fields = _fields(client, args)
    meter, well = _Meter(jobs), True
    for job in jobs:
        meter.show(job)
        problem = None
        try:
            answer = client.transcribe(job.path, fields, translate=args.translate)
        except AnswerError as error:
            problem = str(error)
        except OSError as error:
            raise UserError(f"{job.path}: {error.strerror}") from None
        finally:
            meter.finish(job)
        if problem is not None:
            print(f"sensorium transcribe: {job.path}: {problem}", file=sys.stderr)
            well = False
        elif job.target is not None:
            _write(job.target, _content(answer, args.format))
        else:
            print(_shown(job.path, answer, args.format, many=many), flush=True)
    return well


def _fields(client: Client, args: argparse.Namespace) -> dict[str, str]:
    kind = "json" if args.format == "text" else args.format
    fields = {"model": args.model or _default_model(client), "response_format": kind}
    for name in ("language", "prompt"):
        if (value := getattr(args, name)) is not None:
            fields[name] = value
    if args.words:
        fields["timestamp_granularities[]"] = "word"
    return fields


def _jobs(args: argparse.Namespace) -> list[_Job]:
    """The files and what is in the folders, each once; UserError for what is not there."""
    found: list[tuple[Path, Path]] = []
    for given in args.files:
        if given.is_dir():
            inside = [(path, path.relative_to(given)) for path in _inside(given)]
            if not inside:
                raise UserError(f"{given}: no sound or video file in this folder")
            found += inside
        elif given.is_file():
            found.append((given, Path(given.name)))
        else:
            raise UserError(f"{given}: no such file")
    if args.out is None:
        return [_Job(path, None, _seconds(path)) for path, _ in found]
    # talk.wav and talk.mp4 must not become one file.
    same = Counter(name.with_suffix("") for name in dict(found).values())
    jobs: dict[Path, _Job] = {}
    for path, name in found:
        stem = name if same[name.with_suffix("")] > 1 else name.with_suffix("")
        target = args.out / f"{stem}.{_ENDINGS[args.format]}"
        if target in jobs and jobs[target].path != path:
            raise UserError(f"{path} and {jobs[target].path} would both be written to {target}")
        jobs[target] = _Job(path, target, _seconds(path))
    return list(jobs.values())


def _inside(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _SUFFIXES and path.is_file():
            yield path


def _seconds(path: Path) -> float:
    """How long a recording says it is, 0 where it does not or cannot be read."""
    import av

    with suppress(av.error.FFmpegError, OSError, ValueError), av.open(str(path)) as file:
        return float(file.duration or 0) / 1_000_000
    return 0.0


def _content(answer: str, kind: str) -> str:
    """What goes into a file."""
    if kind == "text":
        return str(_object(answer).get("text", "")).strip() + "\n"
    return answer if answer.endswith("\n") else answer + "\n"


def _shown(path: Path, answer: str, kind: str, *, many: bool) -> str:
    if kind in {"json", "verbose_json"}:
        return json.dumps({"file": str(path), **_object(answer)}, ensure_ascii=False)
    text = answer.strip() if kind != "text" else str(_object(answer).get("text", "")).strip()
    if kind != "text" or not many:
        return text + ("\n" if kind != "text" else "")
    return f"{path}: {text}"


def _object(answer: str) -> dict[str, Any]:
    try:
        content = json.loads(answer)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise ClientError("the server did not answer with a JSON object; is it such a server?")
    return content


def _write(target: Path, content: str) -> None:
    """Whole or not at all, so that a file that is there is a file that is done."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    partial.write_text(content, encoding="utf-8")
    partial.replace(target)


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
