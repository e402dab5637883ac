"""Long recordings: nothing lost, in any format and either way, in bounded memory."""

from __future__ import annotations

import io
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import soundfile

from sensorium.benchmarks.measure.processes import cpu_seconds
from sensorium.benchmarks.speech.errors import lost_clips, word_error_rate
from sensorium.benchmarks.speech.recordings import Clip, composed, wav
from sensorium.serving.speech.answers import answer
from sensorium.serving.speech.request import FORMATS
from tests.kit.live_server import LiveServer

WAYS = ("auto", "sequential")
LONG = pytest.mark.skipif(
    "SENSORIUM_SPEECH_LONG" not in os.environ, reason="an hour of speech; `make speech` asks for it"
)
# Bytes that the server and its engines may gain from the second to the last sixth of an hour. In
# that time come 77 MB of samples, 92 MB of spectra and 295 MB of encodings; allocators keep some.
_GROWTH = 128 << 20


def transcribe(server: LiveServer, sound: bytes, kind: str, way: str) -> httpx.Response:
    form = {
        "model": "original",
        "language": "en",
        "response_format": kind,
        "chunking_strategy": way,
    }
    url = f"{server.url}/v1/audio/transcriptions"
    found = httpx.post(url, data=form, files={"file": ("talk", sound)}, timeout=3600)
    assert found.status_code == 200, found.text
    return found


def said_in(kind: str, body: str) -> str:
    """The spoken text of an answer in any format."""
    if kind in {"json", "verbose_json"}:
        return str(httpx.Response(200, text=body).json()["text"])
    if kind == "text":
        return body
    captions = re.findall(r"--> \S+\n(.*)\n", body)
    return " ".join(captions)


def caption_times(body: str) -> list[float]:
    """The starts and ends of srt and vtt captions, in their order."""
    found = re.findall(r"(\d+):(\d\d):(\d\d)[,.](\d{3})", body)
    return [3600 * int(h) + 60 * int(m) + int(s) + int(ms) / 1000 for h, m, s, ms in found]


@pytest.fixture(scope="module")
def spoken(clips: list[Clip]) -> tuple[bytes, list[str], float]:
    samples, order = composed(clips, 75, seed=2)
    return wav(samples), [clip.text for clip in order], len(samples) / 16_000


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_keeps_every_clip(
    server: LiveServer, spoken: tuple[bytes, list[str], float], kind: str, way: str
) -> None:
    sound, said, seconds = spoken
    body = transcribe(server, sound, kind, way).text
    text = said_in(kind, body)
    assert lost_clips(said, text) == []
    assert word_error_rate([(" ".join(said), text)]) < 0.03
    if kind in {"srt", "vtt"}:
        times = caption_times(body)
        assert len(times) > 2 * len(said) - 1
        assert times == sorted(times)
        assert times[-1] <= seconds + 1e-3
    if kind == "srt":
        numbers = re.findall(r"^(\d+)\n\d\d:", body, re.MULTILINE)
        assert numbers == [str(1 + at) for at in range(len(numbers))]


class Memory(threading.Thread):
    """Samples what the server and all it has started hold for themselves, twice a second.

    That is anonymous memory: decoded sound lies in a temporary file, whose pages the system keeps
    in memory as long as nobody needs it for something else.
    """

    def __init__(self, server: LiveServer) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._stopped = threading.Event()
        self.samples: list[int] = []

    def run(self) -> None:
        while not self._stopped.wait(0.5):
            self.samples.append(sum(map(anonymous, family(self._server))))

    def stop(self) -> None:
        self._stopped.set()
        self.join()

    def part(self, first: float, last: float) -> float:
        """The least over a part of the time, given as shares of the whole.

        What one window or somebody else's request takes is given back; what is kept of every window
        is there at every moment.
        """
        count = len(self.samples)
        return min(self.samples[int(first * count) : max(int(last * count), 1)])


def family(server: LiveServer) -> list[int]:
    parent = psutil.Process(server.process.pid)
    return [parent.pid, *(child.pid for child in parent.children(recursive=True))]


def anonymous(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"RssAnon:\s+(\d+) kB", text)
    return 1024 * int(found[1]) if found else 0


@contextmanager
def watched(server: LiveServer) -> Iterator[Memory]:
    memory = Memory(server)
    memory.start()
    try:
        yield memory
    finally:
        memory.stop()


def segments_of(body: dict[str, Any]) -> list[Any]:
    """The segments of a verbose answer as the server had them, to be put into other formats."""
    return [SimpleNamespace(**{**each, "logprobs": [], "words": []}) for each in body["segments"]]


@pytest.mark.parametrize("minutes", [10, pytest.param(60, marks=LONG)])
def test_nothing_is_lost_and_memory_is_bounded(
    server: LiveServer, clips: list[Clip], minutes: int
) -> None:
    samples, order = composed(clips, 60 * minutes, seed=2)
    said, seconds = [clip.text for clip in order], len(samples) / 16_000
    sound = wav(samples, kind="FLAC")
    rates = {}
    for way in WAYS:
        before, began = sum(cpu_seconds(server.process.pid).values()), time.monotonic()
        with watched(server) as memory:
            body = transcribe(server, sound, "verbose_json", way).json()
        used = sum(cpu_seconds(server.process.pid).values()) - before
        rates[way] = word_error_rate([(" ".join(said), body["text"])])
        lost = lost_clips(said, body["text"])
        held = [memory.part(n / 6, (n + 1) / 6) for n in range(6)]
        print(
            f"\n{minutes} minutes, {way}: {len(lost)} of {len(said)} clips lost, "
            f"word error rate {100 * rates[way]:.2f} %, {used / seconds:.4f} CPU s a second, "
            f"{time.monotonic() - began:.0f} s; MiB held in each sixth of the time: "
            f"{', '.join(f'{each / 2**20:.0f}' for each in held)}"
        )
        check_answer(body, seconds)
        # Conditioned on its own text, the sequential way goes astray now and then (docs/speech.md).
        assert len(lost) <= (0 if way == "auto" else len(said) // 10)
        assert held[-1] - held[1] < _GROWTH
    assert rates["auto"] <= rates["sequential"] + 0.005
    assert rates["auto"] < 0.03


def check_answer(body: dict[str, Any], seconds: float) -> None:
    """Times are in order and within the recording, and every format has the whole text."""
    assert body["duration"] == pytest.approx(seconds, abs=0.01)
    times = [time for segment in body["segments"] for time in (segment["start"], segment["end"])]
    assert times == sorted(times)
    assert times[-1] <= seconds + 1e-3
    # The recording is decoded once; the other formats are written from the same segments.
    for kind in ("text", "srt", "vtt", "json"):
        asked: Any = SimpleNamespace(format=kind, logprobs=False, task="transcribe")
        vocabulary: Any = None
        rendered, _ = answer(asked, segments_of(body), seconds, vocabulary)
        assert said_in(kind, rendered).split() == body["text"].split()


def test_a_leak_is_told_from_what_comes_and_goes() -> None:
    memory = Memory.__new__(Memory)
    memory.samples = [100 + 50 * (at % 3) + (500 if 80 < at < 95 else 0) for at in range(100)]
    assert memory.part(5 / 6, 1) - memory.part(1 / 6, 2 / 6) == 0
    memory.samples = [each + 2 * at for at, each in enumerate(memory.samples)]
    assert memory.part(5 / 6, 1) - memory.part(1 / 6, 2 / 6) > 100


@LONG
def test_six_hours_of_silence_are_no_text(server: LiveServer) -> None:
    out = io.BytesIO()
    with soundfile.SoundFile(out, "w", 16_000, 1, format="FLAC") as file:
        for _ in range(360):
            file.write(np.zeros(60 * 16_000, np.int16))
    with watched(server) as memory:
        body = transcribe(server, out.getvalue(), "verbose_json", "auto").json()
    assert (body["text"], body["segments"], body["duration"]) == ("", [], 6 * 3600)
    assert max(memory.samples) - memory.samples[0] < _GROWTH
