"""Sensorium, stock vLLM and faster-whisper with the same weights in float32, behind one method."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import httpx

from sensorium.benchmarks.commands.compare import equal_arguments
from sensorium.benchmarks.compare.servers import SERVED_NAME, RunningServer, make_side, start
from sensorium.benchmarks.measure.processes import cpu_seconds
from sensorium.serving.errors import UserError

__all__ = ["FasterWhisper", "Recogniser", "Served", "write_ctranslate2"]

_BATCH = 8
# Stock refuses what is longer than ten minutes.
_LONG_FILES = {"VLLM_MAX_AUDIO_DECODE_DURATION_S": "14400"}


class Recogniser(Protocol):
    """What writes down recordings; `write` may be called from several threads at once."""

    def write(self, sound: bytes, way: str) -> str:
        """The text of a file; `way` is one of the recogniser's own ways through long recordings."""

    def cpu_seconds(self) -> float:
        """CPU time of all its processes so far."""

    def stop(self) -> None:
        """End it."""


class Served:
    """A server of `sensorium` or stock `vllm`, started for this, asked over HTTP.

    `ways` gives each way its form fields, beside the language and a temperature of 0. `threads` are
    its engine's.
    """

    def __init__(
        self,
        kind: str,
        model: str,
        folder: Path,
        ways: Mapping[str, Mapping[str, str]],
        threads: int,
    ) -> None:
        arguments = [*equal_arguments(frontend=False), "--dtype", "float32"]
        side = make_side(kind, model, arguments)
        settings = {**_LONG_FILES, "OMP_NUM_THREADS": str(threads)}
        side = replace(side, environment={**side.environment, **settings})
        self._server: RunningServer = start(side, folder)
        self._ways = ways
        self._client = httpx.Client(base_url=self._server.url, timeout=3600, trust_env=False)

    def write(self, sound: bytes, way: str) -> str:
        """Ask the server; the text is that of the answer's segments where it has any."""
        fields = {"model": SERVED_NAME, "language": "en", "temperature": "0", **self._ways[way]}
        file = {"file": ("sound.wav", sound)}
        answer = self._client.post("/v1/audio/transcriptions", data=fields, files=file)
        if answer.status_code != httpx.codes.OK:
            raise UserError(f"{self._server.side.name}: {answer.status_code} {answer.text[:300]}")
        body: dict[str, Any] = answer.json()
        segments = body.get("segments") or []
        return "".join(each["text"] for each in segments) or str(body["text"])

    def cpu_seconds(self) -> float:
        """CPU time of the server and its engine."""
        return sum(cpu_seconds(self._server.process.pid).values())

    def stop(self) -> None:
        """End the server."""
        self._client.close()
        self._server.stop()


class FasterWhisper:
    """faster-whisper in this process, greedy as the servers are (its own default is a beam of 5).

    `at_once` recordings are transcribed side by side, `threads` shared among them. Its ways are
    `sequential`, `batched` (cut at pauses by its voice detector) and, for short files, the first.
    """

    def __init__(self, folder: Path, at_once: int, threads: int) -> None:
        try:
            from faster_whisper import BatchedInferencePipeline, WhisperModel
        except ModuleNotFoundError:
            raise UserError("faster-whisper is not installed: pip install sensorium[speech]") from (
                None
            )
        self._model = WhisperModel(
            str(folder),
            device="cpu",
            compute_type="float32",
            num_workers=at_once,
            cpu_threads=max(1, threads // at_once),
        )
        self._batched = BatchedInferencePipeline(self._model)

    def write(self, sound: bytes, way: str) -> str:
        """Transcribe in the calling thread."""
        options: dict[str, Any] = {"language": "en", "beam_size": 1}
        if way == "batched":
            found, _ = self._batched.transcribe(io.BytesIO(sound), batch_size=_BATCH, **options)
        else:
            found, _ = self._model.transcribe(io.BytesIO(sound), **options)
        return "".join(segment.text for segment in found)

    def cpu_seconds(self) -> float:
        """CPU time of this process, in which nothing else is done meanwhile."""
        return time.process_time()

    def stop(self) -> None:
        """Free the weights."""
        self._model.model.unload_model()


def write_ctranslate2(source: Path, target: Path) -> Path:
    """A Hugging Face Whisper as faster-whisper loads it, by CTranslate2's own converter."""
    try:
        from ctranslate2.converters import TransformersConverter
    except ModuleNotFoundError:
        raise UserError("ctranslate2 is not installed: pip install sensorium[speech]") from None
    files = ["tokenizer.json", "preprocessor_config.json"]
    TransformersConverter(str(source), copy_files=files).convert(str(target), force=True)
    return target
