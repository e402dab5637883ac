"""Mistral's chat tokenizer, kept from loading media a second time.

In vLLM 0.32 (`renderers/mistral.py`) the media of a conversation are loaded by the media connector,
and then mistral-common is given the same messages: to count tokens it decodes every sound and
picture again, and fetches every URL again, this time past all rules on addresses. It also refuses
stereo, and needs soxr for another sampling rate. All it needs is sizes, so it gets silence as long
as each sound and a blank as large as each picture.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image
from vllm.multimodal.media import MediaWithBytes
from vllm.renderers.chat_utils import parse_chat_messages, parse_chat_messages_async
from vllm.renderers.inputs.preprocess import parse_dec_only_prompt
from vllm.renderers.mistral import MistralRenderer as Theirs
from vllm.renderers.mistral import safe_apply_chat_template

__all__ = ["MistralRenderer", "with_stand_ins"]

_KINDS = {"audio_url": "audio", "input_audio": "audio", "image_url": "image"}


class MistralRenderer(Theirs):
    """vLLM's renderer, whose tokenizer sees stand-ins for media that were loaded already."""

    def render_messages(self, messages: Any, params: Any) -> tuple[Any, Any]:
        """The conversation, and its prompt with the media."""
        conversation, media, uuids = parse_chat_messages(
            messages, self.model_config, **self._parsing(params)
        )
        ids = safe_apply_chat_template(
            self.get_tokenizer(),
            self._shown(messages, media),
            **params.get_apply_chat_template_kwargs(),
        )
        return conversation, _prompt(ids, media, uuids)

    async def render_messages_async(self, messages: Any, params: Any) -> tuple[Any, Any]:
        """As `render_messages`."""
        conversation, media, uuids = await parse_chat_messages_async(
            messages, self.model_config, **self._parsing(params)
        )
        ids = await self._apply_chat_template_async(
            self.get_tokenizer(),
            self._shown(messages, media),
            **params.get_apply_chat_template_kwargs(),
        )
        return conversation, _prompt(ids, media, uuids)

    @staticmethod
    def _parsing(params: Any) -> dict[str, Any]:
        return {
            "content_format": "string",
            "media_io_kwargs": params.media_io_kwargs,
            "mm_processor_kwargs": params.mm_processor_kwargs,
        }

    def _shown(self, messages: Any, media: Mapping[str, Any] | None) -> list[Any]:
        encoder = self.get_tokenizer().instruct.audio_encoder
        rate = 0 if encoder is None else int(encoder.audio_config.sampling_rate)
        return with_stand_ins(messages, media or {}, rate)


def with_stand_ins(messages: Any, media: Mapping[str, Any], rate: int) -> list[Any]:
    """The messages with each medium replaced by an empty one of its size.

    `media` are the loaded ones, by modality and in order: `(samples, rate)` and pictures. `rate` is
    the model's own. Raises ValueError for a medium that was not loaded.
    """
    loaded = {kind: iter(media.get(kind) or ()) for kind in ("audio", "image")}
    shown = []
    for message in messages:
        content = message.get("content")
        if not isinstance(content, str) and isinstance(content, Sequence):
            parts = [_stand_in(part, loaded, rate) for part in content]
            message = {**message, "content": parts}  # noqa: PLW2901
        shown.append(message)
    return shown


def _stand_in(part: Any, loaded: Mapping[str, Iterator[Any]], rate: int) -> Any:
    kind = _KINDS.get(part.get("type", "")) if isinstance(part, Mapping) else None
    if kind is None:
        return part
    medium = next(loaded[kind], None)
    if medium is None:
        raise ValueError(f"a part of kind {part['type']} came without its {kind}")
    if kind == "audio":
        samples, own_rate = medium
        data = _silence(-(-samples.shape[-1] * rate // round(own_rate)), rate)
        return {"type": "input_audio", "input_audio": {"data": data, "format": "flac"}}
    picture = medium.media if isinstance(medium, MediaWithBytes) else medium
    url = "data:image/png;base64," + _blank(picture.size)
    return {"type": "image_url", "image_url": {"url": url}}


def _silence(samples: int, rate: int) -> str:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(samples, np.int16), rate, format="FLAC")
    return base64.b64encode(buffer.getvalue()).decode()


def _blank(size: tuple[int, int]) -> str:
    buffer = io.BytesIO()
    Image.new("1", size).save(buffer, "PNG", compress_level=1)
    return base64.b64encode(buffer.getvalue()).decode()


def _prompt(ids: Any, media: Any, uuids: Any) -> Any:
    prompt: Any = parse_dec_only_prompt(ids)
    if media is not None:
        prompt["multi_modal_data"] = media
    if uuids is not None:
        prompt["multi_modal_uuids"] = uuids
    return prompt
