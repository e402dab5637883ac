"""Segments in the formats clients ask for; shapes as in OpenAI's published description."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sensorium.model_adapters.whisper.languages import LANGUAGES
from sensorium.serving.speech.request import SpeechRequest
from sensorium.serving.speech.segments import Segment
from sensorium.serving.speech.vocabulary import Vocabulary

__all__ = ["answer", "delta_event", "done_event", "text_of"]


def text_of(segments: Iterable[Segment]) -> str:
    """The whole text."""
    return "".join(segment.text for segment in segments).strip()


def answer(
    request: SpeechRequest, segments: Sequence[Segment], seconds: float, vocabulary: Vocabulary
) -> tuple[str, str]:
    """The body and its content type."""
    if request.format == "text":
        return text_of(segments) + "\n", "text/plain; charset=utf-8"
    if request.format == "srt":
        return "".join(_srt(segments)), "text/plain; charset=utf-8"
    if request.format == "vtt":
        return "WEBVTT\n\n" + "".join(_vtt(segments)), "text/vtt; charset=utf-8"
    body: dict[str, Any] = {"text": text_of(segments)}
    if request.format == "verbose_json":
        body = _verbose(request, segments, seconds)
    elif request.logprobs:
        body["logprobs"] = logprobs(segments, vocabulary)
    if request.task == "transcribe":
        body["usage"] = {"type": "duration", "seconds": math.ceil(seconds)}
    return json.dumps(body, ensure_ascii=False), "application/json"


def _verbose(request: SpeechRequest, segments: Sequence[Segment], seconds: float) -> dict[str, Any]:
    body: dict[str, Any] = {
        "task": request.task,
        "language": _language(request, segments),
        "duration": round(seconds, 3),
        "text": text_of(segments),
    }
    if request.words:
        body["words"] = [
            {"word": word.text.strip(), "start": _time(word.start), "end": _time(word.end)}
            for segment in segments
            for word in segment.words
        ]
    if request.segments:
        body["segments"] = [_segment(number, segment) for number, segment in enumerate(segments)]
    return body


def _language(request: SpeechRequest, segments: Sequence[Segment]) -> str:
    if request.task == "translate":
        return "english"
    code = segments[0].written.language if segments else None
    if code is None and len(request.languages) == 1:
        code = request.languages[0]
    return LANGUAGES.get(code or "", "unknown")


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    written = segment.written
    return {
        "id": number,
        "seek": segment.seek,
        "start": _time(segment.start),
        "end": _time(segment.end),
        "text": segment.text,
        "tokens": segment.tokens,
        "temperature": written.temperature,
        "avg_logprob": written.average,
        "compression_ratio": written.compression,
        "no_speech_prob": written.no_speech,
    }


def _time(seconds: float) -> float:
    return round(seconds, 3)


def logprobs(segments: Iterable[Segment], vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """A text token each: its text, its log-probability, its bytes."""
    entries = []
    for segment in segments:
        for token, logprob in zip(segment.tokens, segment.logprobs, strict=True):
            if token < vocabulary.end:
                data = vocabulary.bytes_of([token])
                text = data.decode("utf-8", "replace")
                entries.append({"token": text, "logprob": logprob, "bytes": list(data)})
    return entries


def _clock(seconds: float, separator: str) -> str:
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{separator}{rest % 1000:03}"


def _caption(segment: Segment, separator: str) -> str:
    # An arrow in the text would end the caption's head a second time.
    text = segment.text.strip().replace("-->", "->")
    return f"{_clock(segment.start, separator)} --> {_clock(segment.end, separator)}\n{text}\n\n"


def _srt(segments: Iterable[Segment]) -> Iterator[str]:
    for number, segment in enumerate(segments, start=1):
        yield f"{number}\n{_caption(segment, ',')}"


def _vtt(segments: Iterable[Segment]) -> Iterator[str]:
    for segment in segments:
        yield _caption(segment, ".")


def delta_event(
    request: SpeechRequest, text: str, segments: Sequence[Segment], vocabulary: Vocabulary
) -> bytes:
    """A `transcript.text.delta` event."""
    event: dict[str, Any] = {"type": "transcript.text.delta", "delta": text}
    if request.logprobs:
        event["logprobs"] = logprobs(segments, vocabulary)
    return _event(event)


def done_event(
    request: SpeechRequest,
    text: str,
    segments: Sequence[Segment],
    seconds: float,
    vocabulary: Vocabulary,
) -> bytes:
    """The `transcript.text.done` event; a second of sound counts as 50 tokens, as it is encoded."""
    event: dict[str, Any] = {"type": "transcript.text.done", "text": text}
    if request.logprobs:
        event["logprobs"] = logprobs(segments, vocabulary)
    if request.task == "transcribe":
        sound, written = math.ceil(seconds * 50), sum(len(segment.tokens) for segment in segments)
        prompt = sum(_prompt_tokens(segments))
        event["usage"] = {
            "type": "tokens",
            "input_tokens": sound + prompt,
            "input_token_details": {"text_tokens": prompt, "audio_tokens": sound},
            "output_tokens": written,
            "total_tokens": sound + prompt + written,
        }
    return _event(event)


def _prompt_tokens(segments: Sequence[Segment]) -> list[int]:
    """The prompt of each window; segments of one window share it."""
    windows = {id(segment.written): segment.written for segment in segments}
    return [written.prompt_tokens for written in windows.values()]


def _event(content: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(content, ensure_ascii=False).encode() + b"\n\n"
