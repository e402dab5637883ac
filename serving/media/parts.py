"""Content parts of a chat message: checked, counted and brought to the forms the engine takes.

The field paths written into errors are those of OpenAI's request: `messages.0.content.1.image_url`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sensorium.serving.errors import BadRequestError
from sensorium.serving.media.lifted import lifted
from sensorium.serving.media.sniff import sniff_media_type

__all__ = ["CheckedChat", "check_chat", "only_media"]

_ROLES = {"system", "developer", "user", "assistant", "tool", "function"}
_TEXT_PARTS = {"text", "input_text", "output_text", "refusal", "thinking"}
_MODALITY = {
    "image_url": "image",
    "input_image": "image",
    "audio_url": "audio",
    "input_audio": "audio",
    "video_url": "video",
}
_AUDIO_FORMATS = {"wav", "mp3", "flac", "ogg", "opus", "m4a", "aac", "webm", "mpeg", "mpga", "mp4"}
# Taken by vLLM for trusted clients; their own flags guard them there.
_EMBEDDING_PARTS = {"image_embeds", "audio_embeds", "video_embeds", "prompt_embeds"}
_TAKEN = "text, image_url, input_audio, audio_url, video_url, file"


@dataclass
class CheckedChat:
    """What the checks found: whether the body was changed, and where each medium came from."""

    changed: bool = False
    field_of_url: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


def check_chat(body: dict[str, Any], limits: Mapping[str, int]) -> CheckedChat:
    """Check a chat request's messages and rewrite parts that vLLM 0.32 does not know.

    `file` parts become image, audio or video parts, in place. Raises BadRequestError naming the
    part for wrong shapes, unknown types, media the model does not take and too many of them
    (`limits`: modality -> most items in a prompt).
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequestError(
            f"`messages` must be a non-empty list of messages, got {_describe(messages)}",
            param="messages",
        )
    checked = CheckedChat()
    for path, content, index in _parts(messages):
        _check_part(path, content, index, checked, limits)
    return checked


def only_media(body: object, names: Collection[str]) -> bool:
    """Whether each of `names` stands where a chat's medium does: alone, or behind a comma."""
    found: set[str] = set()
    messages = body.get("messages") if isinstance(body, dict) and names else None
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else ():
            kind = part.get("type") if isinstance(part, dict) else None
            if isinstance(kind, str) and (kind in _MODALITY or kind == "file"):
                value = part.get(kind)
                told = value.values() if isinstance(value, dict) else [value]
                found.update(text.rpartition(",")[2] for text in told if isinstance(text, str))
    return found.issuperset(names)


def _parts(messages: list[Any]) -> Iterator[tuple[str, list[Any], int]]:
    for number, message in enumerate(messages):
        path = f"messages.{number}"
        if not isinstance(message, dict):
            raise BadRequestError(
                f"A message must be an object, got {_describe(message)}", param=path
            )
        role = message.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise BadRequestError(
                f"A message's `role` must be one of {', '.join(sorted(_ROLES))}; "
                f"got {_describe(role)}",
                param=f"{path}.role",
            )
        content = message.get("content")
        if isinstance(content, list):
            for index in range(len(content)):
                yield f"{path}.content.{index}", content, index
        elif content is not None and not isinstance(content, str):
            raise BadRequestError(
                f"A message's `content` must be text or a list of parts, got {_describe(content)}",
                param=f"{path}.content",
            )


def _check_part(
    path: str, content: list[Any], index: int, checked: CheckedChat, limits: Mapping[str, int]
) -> None:
    part = content[index]
    if isinstance(part, str):
        return
    if not isinstance(part, dict):
        raise BadRequestError(
            f"A content part must be an object, got {_describe(part)}", param=path
        )
    kind = part.get("type")
    if kind == "file":
        part = content[index] = _convert_file(path, part)
        checked.changed = True
        kind = part["type"]
        path = f"{path}.file"
    if not isinstance(kind, str):
        raise _unknown_type(path, kind)
    if kind in _TEXT_PARTS:
        _check_text(path, kind, part)
        return
    if kind in _EMBEDDING_PARTS:
        return
    if kind not in _MODALITY:
        raise _unknown_type(path, kind)
    url, url_path = _READERS[kind](path, kind, part)
    if url is not None:
        checked.field_of_url.setdefault(url, url_path)
    _count(path, _MODALITY[kind], checked, limits)


def _unknown_type(path: str, kind: object) -> BadRequestError:
    return BadRequestError(
        f"A content part's `type` must be one of {_TAKEN}; got {_describe(kind)}",
        param=f"{path}.type",
    )


def _check_text(path: str, kind: str, part: Mapping[str, Any]) -> None:
    name = kind if kind in {"refusal", "thinking"} else "text"
    if not isinstance(part.get(name), str):
        raise BadRequestError(
            f"A part of type `{kind}` must hold its text in `{name}`, "
            f"got {_describe(part.get(name))}",
            param=f"{path}.{name}",
        )


def _count(path: str, modality: str, checked: CheckedChat, limits: Mapping[str, int]) -> None:
    count = checked.counts[modality] = checked.counts.get(modality, 0) + 1
    allowed = limits.get(modality, 0)
    if count <= allowed:
        return
    if allowed == 0:
        takes = ", ".join(sorted(name for name, most in limits.items() if most)) or "text only"
        raise BadRequestError(f"This model takes no {modality}; it takes: {takes}", param=path)
    raise BadRequestError(
        f"Too many {modality} parts: this is number {count}, this model takes {allowed} a prompt; "
        f"send fewer or raise `--limit-mm-per-prompt '{{\"{modality}\": {count}}}'`",
        param=path,
    )


def _read_url_part(path: str, kind: str, part: Mapping[str, Any]) -> tuple[str | None, str]:
    value = part.get(kind)
    if value is None and part.get("uuid"):
        return None, path  # vLLM's extension: media known to its cache by identity
    nested = isinstance(value, Mapping)
    url = value.get("url") if isinstance(value, Mapping) else value
    where = f"{path}.{kind}.url" if nested else f"{path}.{kind}"
    if not isinstance(url, str) or not (nested or kind == "input_image"):
        raise BadRequestError(
            f'A part of type `{kind}` must look like {{"type": "{kind}", "{kind}": '
            f'{{"url": "..."}}}}, got {_describe(value)}',
            param=where,
        )
    _check_scheme(url, where)
    return url, where


def _check_scheme(url: str, path: str) -> None:
    head = url[:80]
    scheme = head.partition(":")[0].lower()
    if scheme not in {"data", "http", "https", "file"}:
        raise BadRequestError(
            f"A media URL must start with data:, http:, https: or (where allowed) file:; "
            f"got {head!r}",
            param=path,
        )
    if scheme != "data":
        return
    header = url[: url.find(",") + 1][:200]
    if not header.endswith(","):
        raise BadRequestError(
            "A data URL must look like data:image/png;base64,AAAA...; this one has no comma",
            param=path,
        )
    if not header.lower().endswith(";base64,"):
        raise BadRequestError(
            f"A data URL must be base64-encoded (data:...;base64,...); got {header!r}", param=path
        )


def _read_input_audio(path: str, kind: str, part: Mapping[str, Any]) -> tuple[str | None, str]:
    value = part.get("input_audio")
    if not isinstance(value, Mapping) or not isinstance(value.get("data"), str):
        raise BadRequestError(
            'A part of type `input_audio` must look like {"type": "input_audio", "input_audio": '
            f'{{"data": "<base64>", "format": "wav"}}}}, got {_describe(value)}',
            param=f"{path}.input_audio",
        )
    name = value.get("format")
    if not isinstance(name, str) or name.lower() not in _AUDIO_FORMATS:
        raise BadRequestError(
            f"`format` must be one of {', '.join(sorted(_AUDIO_FORMATS))}; got {_describe(name)}",
            param=f"{path}.input_audio.format",
        )
    # The very string vLLM makes of such a part before it asks the media connector for it.
    return f"data:audio/{name};base64,{value['data']}", f"{path}.input_audio.data"


_READERS: dict[str, Callable[[str, str, Mapping[str, Any]], tuple[str | None, str]]] = {
    "image_url": _read_url_part,
    "input_image": _read_url_part,
    "audio_url": _read_url_part,
    "video_url": _read_url_part,
    "input_audio": _read_input_audio,
}


def _convert_file(path: str, part: Mapping[str, Any]) -> dict[str, Any]:
    value = part.get("file")
    if not isinstance(value, Mapping):
        raise BadRequestError(
            'A part of type `file` must look like {"type": "file", "file": {"file_data": '
            f'"data:image/png;base64,...", "filename": "..."}}}}, got {_describe(value)}',
            param=f"{path}.file",
        )
    data = value.get("file_data")
    if not isinstance(data, str):
        hint = (
            "; no files are kept here for `file_id`: send `file_data`" if "file_id" in value else ""
        )
        raise BadRequestError(
            f"`file_data` must be a base64 data URL, got {_describe(data)}{hint}",
            param=f"{path}.file.file_data",
        )
    encoded = data.partition(",")[2] if data[:5].lower() == "data:" else data
    media_type = sniff_media_type(_first_bytes(encoded, f"{path}.file.file_data"))
    family = (media_type or "").partition("/")[0]
    if media_type is None or family not in {"image", "audio", "video"}:
        raise BadRequestError(
            f"File parts may hold an image, a sound or a video; got "
            f"{media_type or 'something else'} ({_describe(value.get('filename'))})",
            param=f"{path}.file.file_data",
            code="unsupported_file",
        )
    kind = f"{family}_url"
    return {"type": kind, kind: {"url": f"data:{media_type};base64,{encoded}"}}


def _first_bytes(encoded: str, path: str) -> bytes:
    medium = lifted(encoded)
    head = encoded[:1024]
    try:
        if medium is not None:
            return medium.head()
        return base64.b64decode(head + "=" * (-len(head) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequestError(
            "`file_data` is not valid base64; send data:<type>;base64,<data>",
            param=path,
            code="invalid_base64",
        ) from None


def _describe(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:60] + "...")
    if isinstance(value, bool | int | float):
        return f"{type(value).__name__} {value!r}"[:60]
    return {"dict": "an object", "list": "a list"}.get(type(value).__name__, type(value).__name__)
