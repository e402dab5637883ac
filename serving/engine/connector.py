"""How the engine's front end loads media: vLLM's loaders behind our own fetching and errors.

Stock vLLM 0.32 fetches any address a client names, answers 500 for one that does not answer and 501
for a data URL that is not base64, and never says which part of the request was at fault. The
registry used here is vLLM's official seam (`MEDIA_CONNECTOR_REGISTRY`, chosen by
`VLLM_MEDIA_CONNECTOR`).
"""

from __future__ import annotations

import asyncio
import binascii
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any, TypeVar

from sensorium.serving.media.fetch import FetchPolicy, MediaFetchError, fetch
from sensorium.serving.media.origin import field_of

__all__ = ["register_media_connector"]

_T = TypeVar("_T")


def register_media_connector(policy: FetchPolicy | None = None) -> None:
    """Make the connector known to vLLM as `sensorium`; harmless when called again.

    `policy` says which addresses media may be fetched from (default: public ones only).
    """
    from PIL import Image
    from vllm.exceptions import VLLMError, VLLMValidationError
    from vllm.multimodal.media.connector import (
        MEDIA_CONNECTOR_REGISTRY,
        MediaConnector,
        global_thread_pool,
    )

    if "sensorium" in MEDIA_CONNECTOR_REGISTRY.name2class:
        return
    allowed = policy or FetchPolicy()

    class MediaError(VLLMValidationError):
        """A medium that could not be loaded; names the part of the request it stood in."""

        def __str__(self) -> str:
            return str(self.args[0])

    undecodable = (
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

    async def explained(kind: str, url: str, loading: Awaitable[_T]) -> _T:
        try:
            return await loading
        except MediaFetchError as error:
            message = f"Could not fetch the {kind} from {_shown(url)}: {error}"
            raise MediaError(message, parameter=field_of(url)) from error
        except undecodable as error:
            verb = "decode" if url[:5].lower() == "data:" else "load"
            message = f"Could not {verb} the {kind} {_shown(url)}: {_reason(error)}"
            raise MediaError(message, parameter=field_of(url)) from error

    @MEDIA_CONNECTOR_REGISTRY.register("sensorium")
    class SensoriumMediaConnector(MediaConnector):
        """vLLM's connector with our fetching; every failure is a 400 that names the part."""

        async def load_from_url_async(
            self, url: str, media_io: Any, *, fetch_timeout: int | None = None
        ) -> Any:
            if not url[:5].lower().startswith("http"):
                return await super().load_from_url_async(url, media_io)
            most = min(allowed.max_bytes, media_io.get_max_bytes() or allowed.max_bytes)
            domains = frozenset(name.lower() for name in self.allowed_media_domains)
            content = await fetch(url, replace(allowed, domains=domains, max_bytes=most))
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(global_thread_pool, media_io.load_bytes, content)

        async def fetch_image_async(self, image_url: str, **kwargs: Any) -> Any:
            return await explained(
                "image", image_url, super().fetch_image_async(image_url, **kwargs)
            )

        async def fetch_audio_async(self, audio_url: str) -> Any:
            return await explained("audio", audio_url, super().fetch_audio_async(audio_url))

        async def fetch_video_async(self, video_url: str, **kwargs: Any) -> Any:
            return await explained(
                "video", video_url, super().fetch_video_async(video_url, **kwargs)
            )


def _shown(url: str) -> str:
    return url[: url.find(",")][:60] + ",..." if url[:5].lower() == "data:" else url[:200]


def _reason(error: BaseException) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "allowed-local-media-path" in text:
        return "file: URLs may only name files below the server's --media-root"
    if "cannot identify image file" in text:
        return "not an image in a format this server reads (PNG, JPEG, WebP, GIF, BMP, TIFF ...)"
    return text[:300]
