"""What a client asks for: the form fields of /v1/audio/transcriptions and /translations, checked.

OpenAI's fields, and four of our own: `channel`, `seed`, `condition_on_previous_text`, and the value
`sequential` for `chunking_strategy`. Fields that are not known are ignored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from sensorium.model_adapters.whisper.languages import find_language
from sensorium.serving.errors import BadRequestError
from sensorium.serving.speech.window import LADDER

__all__ = ["FORMATS", "SpeechRequest", "read_request"]

FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
_LOUDEST_SEED = (1 << 63) - 1


@dataclass(frozen=True)
class SpeechRequest:
    """A checked request. `sequential` is None where the client leaves the way to the server."""

    task: str
    format: str
    languages: tuple[str, ...]
    prompt: str
    temperatures: tuple[float, ...]
    segments: bool
    words: bool
    logprobs: bool
    stream: bool
    sequential: bool | None
    context: bool
    channel: int | None
    seed: int


Fields = Mapping[str, Sequence[str]]


def read_request(task: str, fields: Fields) -> SpeechRequest:
    """Check the fields of a form (all their values, by name); BadRequestError names a wrong one."""
    kind = _choice(fields, "response_format", FORMATS, "json")
    granularities = _list(fields, "timestamp_granularities", ("word", "segment"))
    logprobs = "logprobs" in _list(fields, "include", ("logprobs",))
    stream = _flag(fields, "stream", default=False)
    if logprobs and kind != "json":
        _refuse("include", f"`logprobs` come with response_format json only, got {kind}")
    if stream and kind not in {"json", "text"}:
        _refuse("stream", f"only json and text can be streamed, got response_format {kind}")
    verbose = kind == "verbose_json"
    temperature = _number(fields, "temperature", 0.0, 1.0)
    channel = _number(fields, "channel", 0, 1_000, whole=True)
    seed = _number(fields, "seed", 0, _LOUDEST_SEED, whole=True)
    keywords = [word.strip() for word in _values(fields, "keywords") if word.strip()]
    return SpeechRequest(
        task=task,
        format=kind,
        languages=_languages(fields),
        prompt=" ".join([*_values(fields, "prompt"), ", ".join(keywords)]).strip(),
        temperatures=(float(temperature),) if temperature else LADDER,
        segments=verbose and (not granularities or "segment" in granularities),
        words=verbose and "word" in granularities,
        logprobs=logprobs,
        stream=stream,
        sequential=_way(fields),
        context=_flag(fields, "condition_on_previous_text", default=True),
        channel=None if channel is None else int(channel),
        seed=int(seed or 0),
    )


def _refuse(name: str, why: str) -> NoReturn:
    raise BadRequestError(f"`{name}`: {why}", param=name)


def _values(fields: Fields, name: str) -> list[str]:
    return [value for key in (name, f"{name}[]") for value in fields.get(key, ())]


def _one(fields: Fields, name: str) -> str | None:
    values = _values(fields, name)
    if len(values) > 1:
        _refuse(name, f"given {len(values)} times; once is right")
    return values[0].strip() or None if values else None


def _choice(fields: Fields, name: str, known: Sequence[str], default: str) -> str:
    value = _one(fields, name) or default
    if value not in known:
        _refuse(name, f"{value[:50]!r} is not offered; choose one of {', '.join(known)}")
    return value


def _list(fields: Fields, name: str, known: Sequence[str]) -> set[str]:
    values = {value.strip() for value in _values(fields, name) if value.strip()}
    for value in values:
        if value not in known:
            _refuse(name, f"{value[:50]!r} is not offered; choose from {', '.join(known)}")
    return values


def _flag(fields: Fields, name: str, *, default: bool) -> bool:
    value = (_one(fields, name) or str(default)).lower()
    if value not in {"true", "false", "1", "0"}:
        _refuse(name, f"must be true or false, got {value[:50]!r}")
    return value in {"true", "1"}


def _number(
    fields: Fields, name: str, low: float, high: float, *, whole: bool = False
) -> float | int | None:
    text = _one(fields, name)
    if text is None:
        return None
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        kind = "a whole number" if whole else "a number"
        _refuse(name, f"must be {kind} from {low:g} to {high:g}, got {text[:50]!r}")
    return value


def _languages(fields: Fields) -> tuple[str, ...]:
    given = _one(fields, "language")
    names = [given] if given else [name for name in _values(fields, "languages") if name.strip()]
    param = "language" if given else "languages"
    found = []
    for name in names:
        code = find_language(name)
        if code is None:
            _refuse(
                param,
                f"{name[:50]!r} is no language that Whisper knows; give a code (de) or an English "
                "name (german), or leave it out and the model finds out",
            )
        found.append(code)
    return tuple(dict.fromkeys(found))


def _way(fields: Fields) -> bool | None:
    """True for `sequential`, False for `auto` or OpenAI's object, None where nothing is said."""
    value = _one(fields, "chunking_strategy")
    if value is None:
        parts = [key for key in fields if key.startswith("chunking_strategy[")]
        return False if parts else None
    if value in {"auto", "sequential"}:
        return value == "sequential"
    try:
        if isinstance(json.loads(value), dict):
            return False
    except ValueError:
        pass
    _refuse("chunking_strategy", f"must be auto, sequential or an object, got {value[:50]!r}")
