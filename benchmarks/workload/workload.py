"""Builds the request number i of a workload: the same for the same settings, in any order."""

from __future__ import annotations

import functools
import json
import random
import uuid
from typing import Any

from sensorium.benchmarks.client.request import PreparedRequest
from sensorium.benchmarks.workload.media import MediaFile
from sensorium.benchmarks.workload.settings import ENDPOINTS, WorkloadSettings
from sensorium.benchmarks.workload.wire import Wire
from sensorium.benchmarks.workload.words import make_text
from sensorium.serving.errors import UserError

__all__ = ["Workload", "media_owner"]

_KEPT_MEDIA = 256


class Workload:
    """Requests by number. Media come from generators or from files, and travel over `wire`."""

    def __init__(self, settings: WorkloadSettings, wire: Wire) -> None:
        self._settings = settings
        self._wire = wire
        self._media = functools.lru_cache(maxsize=_KEPT_MEDIA)(self._make_media)
        if settings.endpoint == "transcriptions" and not (settings.sounds or settings.files):
            raise UserError("--endpoint transcriptions needs --audio SECONDS or --media FOLDER")

    def request(self, index: int) -> PreparedRequest:
        """Build the request; a warm-up has a negative number."""
        settings = self._settings
        owner = media_owner(index, settings.reuse, settings.seed)
        media = self._media(owner)
        facts = tuple(medium.fact(reused=owner != index) for medium in media)
        path = ENDPOINTS[settings.endpoint]
        if settings.endpoint == "transcriptions":
            body, content_type = self._form(media[0])
            return PreparedRequest(path, body, content_type, facts[:1], settings.stream)
        body = json.dumps(self._body(index, media)).encode()
        streams = settings.stream and settings.endpoint != "embeddings"
        return PreparedRequest(path, body, media=facts, streams=streams)

    def _body(self, index: int, media: tuple[MediaFile, ...]) -> dict[str, Any]:
        settings = self._settings
        text = self._text(index)
        body: dict[str, Any] = {"model": settings.model}
        if settings.endpoint == "chat" or (settings.endpoint == "embeddings" and media):
            parts = [self._wire.part(medium) for medium in media]
            content = [*parts, {"type": "text", "text": text}] if parts else text
            body["messages"] = [{"role": "user", "content": content}]
        else:
            body["input" if settings.endpoint == "embeddings" else "prompt"] = text
        if settings.endpoint != "embeddings":
            body |= {"max_tokens": settings.output_tokens, "temperature": 0}
            if settings.stream:
                body |= {"stream": True, "stream_options": {"include_usage": True}}
            if settings.ignore_eos:
                body["ignore_eos"] = True
        return body | settings.extra_body

    def _form(self, sound: MediaFile) -> tuple[bytes, str]:
        """A multipart body for transcriptions, and its content type."""
        fields = {"model": self._settings.model, "temperature": "0"}
        if self._settings.stream:
            fields |= {"stream": "true", "stream_include_usage": "true"}
        fields |= {name: str(value) for name, value in self._settings.extra_body.items()}
        boundary = uuid.UUID(int=random.Random(self._settings.seed).getrandbits(128)).hex
        lines = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        suffix = "mp3" if sound.subtype == "mpeg" else sound.subtype
        lines.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; '
            f'filename="sound.{suffix}"\r\n'
            f"Content-Type: {sound.media_type}\r\n\r\n"
        )
        body = "".join(lines).encode() + sound.content + f"\r\n--{boundary}--\r\n".encode()
        return body, f"multipart/form-data; boundary={boundary}"

    def _text(self, index: int) -> str:
        settings = self._settings
        if settings.prompts:
            return settings.prompts[index % len(settings.prompts)]
        words = round(settings.input_tokens * settings.words_per_token)
        return make_text(words, f"{settings.seed}/text/{index}")

    def _make_media(self, owner: int) -> tuple[MediaFile, ...]:
        settings = self._settings
        seed = f"{settings.seed}/media/{owner}"
        source = random.Random(seed)
        media: list[MediaFile] = []
        if settings.images:
            from sensorium.benchmarks.workload.photos import draw_photo, encode_photo

            for number in range(settings.images_per_request):
                picture = draw_photo(settings.images.draw(source), f"{seed}/{number}")
                kind = settings.image_formats.draw(source)
                media.append(encode_photo(picture, kind, settings.image_quality))
        if settings.sounds:
            from sensorium.benchmarks.workload.sounds import make_sound

            seconds = settings.sounds.draw(source)
            media.append(make_sound(seconds, settings.sound_format, source.getrandbits(32)))
        if settings.clips:
            from sensorium.benchmarks.workload.clips import make_clip

            frames, size = settings.clips.draw(source)
            media.append(make_clip(frames, size, seed))
        if settings.files:
            from sensorium.benchmarks.workload.folder import load_media

            media.append(load_media(settings.files[owner % len(settings.files)]))
        return tuple(media)


def media_owner(index: int, reuse: float, seed: int) -> int:
    """The request whose media the request `index` sends: itself, or an earlier one.

    With probability `reuse` a request repeats one of those before it, each equally likely; so media
    that were repeated once are likelier to be repeated again, as popular pictures are.
    """
    while index > 0:
        source = random.Random(f"{seed}/reuse/{index}")
        if source.random() >= reuse:
            return index
        index = source.randrange(index)
    return index
