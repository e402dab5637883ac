"""`python -m sensorium.benchmarks.speech`: the same recordings through three recognisers.

Short sentences one at a time and eight at once, then a long recording end to end in each way that a
recogniser has. One recogniser is up at a time. Prints word error rates, CPU seconds per second of
sound, requests a second, and how many clips of the long recording are missing from the text.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from sensorium.benchmarks.compare.servers import model_source
from sensorium.benchmarks.measure.machine import describe_machine, load_average, versions
from sensorium.benchmarks.output.document import write_document
from sensorium.benchmarks.output.table import columns
from sensorium.benchmarks.speech.errors import lost_clips, word_error_rate
from sensorium.benchmarks.speech.recognisers import (
    FasterWhisper,
    Recogniser,
    Served,
    write_ctranslate2,
)
from sensorium.benchmarks.speech.recordings import composed, librivox_clips, wav
from sensorium.serving.errors import EngineStartError, UserError

__all__ = ["Figures", "main", "measure"]

_AT_ONCE = 8
_OUR_WAYS = {
    "auto": {"chunking_strategy": "auto"},
    "sequential": {"chunking_strategy": "sequential"},
}
_STOCK_WAYS = {"json": {}, "verbose_json": {"response_format": "verbose_json"}}
_SEED = 2


@dataclass(frozen=True)
class Sound:
    """A file, what is said in it clip by clip, and its seconds."""

    data: bytes
    said: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Figures:
    """One load: `wall` and `cpu` are seconds for `sound_seconds` of sound in `requests` files."""

    recogniser: str
    way: str
    load: str
    requests: int
    sound_seconds: float
    wall: float
    cpu: float
    word_error_rate: float
    clips: int
    lost: int

    def row(self) -> tuple[str, ...]:
        """As a row of the table."""
        return (
            f"{self.recogniser} {self.way}",
            self.load,
            f"{100 * self.word_error_rate:.2f} %",
            f"{self.lost} of {self.clips}",
            f"{self.cpu / self.sound_seconds:.4f}",
            f"{self.wall:.1f}",
            f"{self.requests / self.wall:.2f}",
        )


_HEAD = ("", "load", "word errors", "clips lost", "CPU s / s", "wall, s", "requests/s")


def measure(
    recogniser: Recogniser, sounds: Sequence[Sound], at_once: int, *, name: str, way: str, load: str
) -> Figures:
    """Put `sounds` through a recogniser, `at_once` of them at a time."""
    before, began = recogniser.cpu_seconds(), time.perf_counter()
    with ThreadPoolExecutor(at_once) as threads:
        texts = list(threads.map(lambda sound: recogniser.write(sound.data, way), sounds))
    wall, cpu = time.perf_counter() - began, recogniser.cpu_seconds() - before
    pairs = [(" ".join(sound.said), text) for sound, text in zip(sounds, texts, strict=True)]
    lost = [lost_clips(sound.said, text) for sound, text in zip(sounds, texts, strict=True)]
    return Figures(
        recogniser=name,
        way=way,
        load=load,
        requests=len(sounds),
        sound_seconds=sum(sound.seconds for sound in sounds),
        wall=wall,
        cpu=cpu,
        word_error_rate=word_error_rate(pairs),
        clips=sum(len(sound.said) for sound in sounds),
        lost=sum(map(len, lost)),
    )


class _Loads:
    """The loads of a run, and the figures so far."""

    def __init__(self, minutes: float, requests: int, tell: Callable[[Figures], None]) -> None:
        clips = librivox_clips()
        if not clips:
            raise UserError("no recordings: apt-get install pocketsphinx-testdata")
        self._tell = tell
        # Each file is several times in a load; a recogniser that remembers answers has no place.
        self._short = [_read(clip.path, (clip.text,)) for clip in clips]
        self._requests = requests
        samples, order = composed(clips, 60 * minutes, seed=_SEED)
        said = tuple(clip.text for clip in order)
        self._long = Sound(wav(samples), said, len(samples) / 16_000)
        self.figures: list[Figures] = []

    def warm(self, recogniser: Recogniser, way: str) -> None:
        """One short file that is not counted."""
        recogniser.write(self._short[0].data, way)

    def short(self, recogniser: Recogniser, name: str, way: str, at_once: int) -> None:
        """Sentences, `at_once` at a time, three times as many of them when they come together."""
        count = self._requests if at_once == 1 else 3 * self._requests
        sounds = [self._short[number % len(self._short)] for number in range(count)]
        load = f"sentences, {at_once} at once"
        self._add(measure(recogniser, sounds, at_once, name=name, way=way, load=load))

    def long(self, recogniser: Recogniser, name: str, way: str) -> None:
        """The long recording, alone."""
        load = f"{self._long.seconds / 60:.1f} minutes"
        self._add(measure(recogniser, [self._long], 1, name=name, way=way, load=load))

    def _add(self, figures: Figures) -> None:
        self.figures.append(figures)
        self._tell(figures)


def _read(path: Path, said: tuple[str, ...]) -> Sound:
    import soundfile

    return Sound(path.read_bytes(), said, float(soundfile.info(path).duration))


def _server(loads: _Loads, kind: str, model: str, folder: Path, threads: int) -> None:
    ways = _OUR_WAYS if kind == "sensorium" else _STOCK_WAYS
    first = next(iter(ways))
    recogniser = Served(kind, model, folder, ways, threads)
    try:
        loads.warm(recogniser, first)
        for at_once in (1, _AT_ONCE):
            loads.short(recogniser, kind, first, at_once)
        for way in ways:
            loads.long(recogniser, kind, way)
    finally:
        recogniser.stop()


def _library(loads: _Loads, model: str, folder: Path, threads: int) -> None:
    name = "faster-whisper"
    converted = write_ctranslate2(Path(model_source(model)), folder / "ctranslate2")
    alone = FasterWhisper(converted, 1, threads)
    loads.warm(alone, "sequential")
    loads.short(alone, name, "sequential", 1)
    for way in ("sequential", "batched"):
        loads.long(alone, name, way)
    alone.stop()
    together = FasterWhisper(converted, threads, threads)
    loads.warm(together, "sequential")
    loads.short(together, name, "sequential", _AT_ONCE)
    together.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sides that were asked for; 1 where one cannot be."""
    args = _parser().parse_args(arguments)
    if args.minutes <= 0 or args.requests < 1 or args.threads < 1:
        _parser().error("--minutes, --requests and --threads must be above 0")
    busy = load_average()
    try:
        loads = _Loads(args.minutes, args.requests, _tell)
        with tempfile.TemporaryDirectory(prefix="sensorium-speech-") as folder:
            for side in args.sides:
                if side == "faster-whisper":
                    _library(loads, args.model, Path(folder), args.threads)
                else:
                    _server(loads, side, args.model, Path(folder), args.threads)
    except (UserError, EngineStartError) as error:
        print(f"sensorium.benchmarks.speech: {error}", file=sys.stderr)
        return 1
    print(f"{columns([_HEAD, *(each.row() for each in loads.figures)])}")
    if args.json:
        document = {
            "kind": "speech",
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "model": args.model,
            "threads": args.threads,
            "machine": describe_machine(),
            "load_average_before": busy,
            "versions": versions(),
            "figures": [asdict(each) for each in loads.figures],
        }
        write_document(args.json, document)
    return 0


def _tell(figures: Figures) -> None:
    print("; ".join(figures.row()), file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sensorium.benchmarks.speech", description=(__doc__ or "").splitlines()[0]
    )
    sides = ["sensorium", "vllm", "faster-whisper"]
    add = parser.add_argument
    add("--model", default="whisper-base", help="folder or known name (default: whisper-base)")
    add("--sides", nargs="+", default=sides, choices=sides, help="which recognisers, in order")
    add("--minutes", type=float, default=10.0, metavar="N", help="the long recording (10)")
    add("--requests", type=int, default=10, metavar="N", help="sentences one at a time (10)")
    cores = len(os.sched_getaffinity(0))
    add("--threads", type=int, default=cores, metavar="N", help=f"for arithmetic (all: {cores})")
    add("--json", type=Path, metavar="FILE", help="write the figures, the machine and versions")
    return parser
