"""How the engine's front end loads media: vLLM's loaders behind our own fetching and errors.

Stock vLLM 0.32 fetches any address a client names, answers 500 for one that does not answer and 501
for a data URL that is not base64, and never says which part of the request was at fault. The
registry used here is vLLM's official seam (`MEDIA_CONNECTOR_REGISTRY`, chosen by
`VLLM_MEDIA_CONNECTOR`). Importing this module imports vLLM.
"""

from __future__ import annotations

import asyncio
import binascii
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

from PIL import Image
from vllm.exceptions import VLLMError, VLLMValidationError
from vllm.multimodal.media.connector import (
    MEDIA_CONNECTOR_REGISTRY,
    MediaConnector,
    global_thread_pool,
)

from sensorium.serving.media.fetch import FetchPolicy, MediaFetchError, fetch
from sensorium.serving.media.origin import field_of

__all__ = ["MediaError", "SensoriumMediaConnector"]

_T = TypeVar("_T")
# What Pillow, soundfile, PyAV, OpenCV and vLLM raise for bytes they cannot make sense of.
_UNDECODABLE = (
    ValueError,
    OSError,
    EOFError,
    SyntaxError,
    RuntimeError,
    NotImplementedError,
    binascii.Error,
    Image.DecompressionBombError,
    VLLMError,
)


class MediaError(VLLMValidationError):
    """A medium that could not be loaded; names the part of the request it stood in."""

    def __str__(self) -> str:
        return str(self.args[0])


@MEDIA_CONNECTOR_REGISTRY.register("sensorium")
class SensoriumMediaConnector(MediaConnector):
    """vLLM's connector with our fetching; every failure is a 400 that names the part.

    `policy` says which addresses media may be fetched from; the server sets it before it loads a
    model.
    """

    policy: ClassVar[FetchPolicy] = FetchPolicy()

    async def load_from_url_async(
        self, url: str, media_io: Any, *, fetch_timeout: int | None = None
    ) -> Any:
        """As vLLM's, but http addresses are fetched within the policy."""
        if not url[:5].lower().startswith("http"):
            return await super().load_from_url_async(url, media_io)
        most = min(self.policy.max_bytes, media_io.get_max_bytes() or self.policy.max_bytes)
        domains = frozenset(name.lower() for name in self.allowed_media_domains)
        content = await fetch(url, replace(self.policy, domains=domains, max_bytes=most))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(global_thread_pool, media_io.load_bytes, content)

    async def fetch_image_async(self, image_url: str, **kwargs: Any) -> Any:
        """A PIL image."""
        loading = super().fetch_image_async(image_url, **kwargs)
        return await _explained("image", image_url, loading)

    async def fetch_audio_async(self, audio_url: str) -> Any:
        """Samples and their rate."""
        return await _explained("audio", audio_url, super().fetch_audio_async(audio_url))

    async def fetch_video_async(self, video_url: str, **kwargs: Any) -> Any:
        """Frames and what is known of them."""
        loading = super().fetch_video_async(video_url, **kwargs)
        return await _explained("video", video_url, loading)


async def _explained(kind: str, url: str, loading: Awaitable[_T]) -> _T:
    try:
        return await loading
    except MediaFetchError as error:
        message = f"Could not fetch the {kind} from {_shown(url)}: {error}"
        raise MediaError(message, parameter=field_of(url)) from error
    except _UNDECODABLE as error:
        verb = "decode" if url[:5].lower() == "data:" else "load"
        message = f"Could not {verb} the {kind} {_shown(url)}: {_reason(error)}"
        raise MediaError(message, parameter=field_of(url)) from error


def _shown(url: str) -> str:
    return url[: url.find(",")][:60] + ",..." if url[:5].lower() == "data:" else url[:200]


def _reason(error: BaseException) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "allowed-local-media-path" in text:
        return "file: URLs may only name files below the server's --media-root"
    if "cannot identify image file" in text:
        return "not an image in a format this server reads (PNG, JPEG, WebP, GIF, BMP, TIFF ...)"
    return text[:300]
