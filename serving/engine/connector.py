"""How the engine's front end loads media: vLLM's loaders behind our own fetching and errors.

Stock vLLM 0.32 fetches any address a client names, answers 500 for one that does not answer and 501
for a data URL that is not base64, and never says which part of the request was at fault. The
registry used here is vLLM's official seam (`MEDIA_CONNECTOR_REGISTRY`, chosen by
`VLLM_MEDIA_CONNECTOR`). Importing this module imports vLLM.
"""

from __future__ import annotations

import asyncio
import binascii
import time
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pybase64
from PIL import Image
from vllm.exceptions import VLLMError, VLLMValidationError
from vllm.multimodal.media.base import MediaIO, MediaWithBytes
from vllm.multimodal.media.connector import (
    MEDIA_CONNECTOR_REGISTRY,
    MediaConnector,
    global_thread_pool,
)

from sensorium.model_adapters.audio_models import audio_model
from sensorium.model_adapters.engine.prepared import RECIPES, PreparedImage
from sensorium.serving.engine.video_frames import VideoFrames
from sensorium.serving.http.turns import TurnBudget
from sensorium.serving.media.budget import spend
from sensorium.serving.media.content import Content
from sensorium.serving.media.fetch import FetchPolicy, MediaFetchError, fetch
from sensorium.serving.media.lifted import Medium, lifted_of
from sensorium.serving.media.origin import field_of
from sensorium.serving.media.pipeline import MediaPipeline
from sensorium.serving.media.prepared import Recipe

__all__ = ["MediaError", "SensoriumMediaConnector"]

_T = TypeVar("_T")
_WHITE = (255, 255, 255)
# Characters of base64 that the event loop decodes itself in one turn, which takes it a tenth of a
# millisecond; one file's take less time than a thread to wake up.
_A_TURN = 1 << 20
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


class _Bytes(MediaIO[Content]):
    """Loads nothing but the bytes of a file."""

    def __init__(self, most: int, media: str) -> None:
        self._most = most
        self.media = media

    def load_bytes(self, data: Content) -> Content:
        """As they are."""
        return self._checked(data)

    def load_base64(self, media_type: str, data: str) -> Content:
        """Decoded."""
        return self._checked(pybase64.b64decode(data, validate=True))

    def load_file(self, filepath: Path) -> Content:
        """Read whole."""
        if (size := filepath.stat().st_size) > self._most:
            raise ValueError(f"{size:,} bytes; at most {self._most:,} are taken")
        return filepath.read_bytes()

    def _checked(self, data: Content) -> Content:
        if len(data) > self._most:
            raise ValueError(f"{len(data):,} bytes; at most {self._most:,} are taken")
        return data


class MediaError(VLLMValidationError):
    """A medium that could not be loaded; names the part of the request it stood in."""

    def __str__(self) -> str:
        return str(self.args[0])


@MEDIA_CONNECTOR_REGISTRY.register("sensorium")
class SensoriumMediaConnector(MediaConnector):
    """vLLM's connector with our fetching; every failure is a 400 that names the part.

    `policy` says which addresses media may be fetched from, `pipeline` prepares pictures (without
    one vLLM's loader decodes them in a thread); the server sets both before it loads a model.
    """

    policy: ClassVar[FetchPolicy] = FetchPolicy()
    pipeline: ClassVar[MediaPipeline | None] = None
    _turn: ClassVar[TurnBudget] = TurnBudget(_A_TURN)

    async def load_from_url_async(
        self, url: str, media_io: Any, *, fetch_timeout: int | None = None
    ) -> Any:
        """As vLLM's, but http addresses are fetched within the policy.

        A data URL may name a medium that was taken out of the request (`media/lifted.py`).
        """
        loop = asyncio.get_running_loop()
        if url[:5].lower() == "data:":
            medium = lifted_of(url)
            size = len(url) if medium is None else medium.size
            if isinstance(media_io, _Bytes) and self._turn.takes(size):
                return self._from_data_url(url, medium, media_io)
            return await loop.run_in_executor(
                global_thread_pool, self._from_data_url, url, medium, media_io
            )
        if not url[:5].lower().startswith("http"):
            return await super().load_from_url_async(url, media_io)
        most = min(self.policy.max_bytes, media_io.get_max_bytes() or self.policy.max_bytes)
        domains = frozenset(name.lower() for name in self.allowed_media_domains)
        began = time.perf_counter()
        policy = replace(self.policy, domains=domains, max_bytes=most)
        if self.pipeline is None:
            content = await fetch(url, policy)
        else:
            content = await self.pipeline.downloads.get(url, policy)
            media = media_io.media if isinstance(media_io, _Bytes) else "any"
            took = time.perf_counter() - began
            self.pipeline.measures.downloaded(media, took, len(content))
        return await loop.run_in_executor(global_thread_pool, media_io.load_bytes, content)

    def _from_data_url(self, url: str, medium: Medium | None, media_io: Any) -> Any:
        """What is in a data URL."""
        if medium is None:
            return self.load_from_url(url, media_io)
        return media_io.load_bytes(medium.content())

    async def _content(self, url: str, media: str) -> Content:
        into = _Bytes(self.policy.max_bytes, media)
        content: Content = await self.load_from_url_async(url, into)
        if not url[:5].lower().startswith("http"):  # else they were spent while they came
            spend("bytes", len(content))
        return content

    async def fetch_image_async(self, image_url: str, **kwargs: Any) -> Any:
        """A PIL image with the bytes that name it."""
        if self.pipeline is None:
            loading = super().fetch_image_async(image_url, **kwargs)
        else:
            loading = self._prepared_image(image_url, self.pipeline, **kwargs)
        return await _explained("image", image_url, loading)

    async def _prepared_image(
        self, url: str, pipeline: MediaPipeline, image_mode: str | None = "RGB"
    ) -> MediaWithBytes[Image.Image]:
        options = {"image_mode": image_mode} | self.media_io_kwargs.get("image", {})
        plan = options.get("recipe")
        if plan not in RECIPES:
            plan = ""
        background = tuple(options.get("rgba_background_color", _WHITE))
        content = await self._content(url, "image")
        picture = await pipeline.picture(content, Recipe(plan, options["image_mode"], background))
        if picture.mode:
            image = picture.image()
        else:
            image = PreparedImage(picture.size, picture.pixels, plan)
        # The digest stands for the bytes: it names the file and how it was prepared.
        return MediaWithBytes(image, picture.digest)

    async def fetch_audio_async(self, audio_url: str) -> Any:
        """Samples and their rate."""
        if self.pipeline is None:
            loading = super().fetch_audio_async(audio_url)
        else:
            loading = self._decoded_sound(audio_url, self.pipeline)
        return await _explained("audio", audio_url, loading)

    async def _decoded_sound(self, url: str, pipeline: MediaPipeline) -> tuple[Any, int]:
        content = await self._content(url, "audio")
        # Only the name is taken from the options, which a request may set too.
        model = audio_model(self.media_io_kwargs.get("audio", {}).get("heard_by", ""))
        sound = await pipeline.sound(content, model)
        return sound.samples, sound.rate

    async def fetch_video_async(self, video_url: str, **kwargs: Any) -> Any:
        """Frames and what is known of them."""
        loader = VideoFrames.of(self.media_io_kwargs, kwargs.get("video_processor"))
        if self.pipeline is None or loader.on_gpu:
            loading = super().fetch_video_async(video_url, **kwargs)
        else:
            loading = self._decoded_video(video_url, self.pipeline, loader)
        return await _explained("video", video_url, loading)

    async def _decoded_video(self, url: str, pipeline: MediaPipeline, loader: VideoFrames) -> Any:
        if url[:11].lower() == "data:video/" and url[11:16].lower() == "jpeg;":
            return await self._frames_one_by_one(url, pipeline, loader)
        content = await self._content(url, "video")
        loader.check(pipeline.limits.frames)
        video = await pipeline.video(content, loader.rule())
        # The digest stands for the bytes: it names the file and which frames were taken.
        return MediaWithBytes(await asyncio.to_thread(loader.load, video, content), video.digest)

    async def _frames_one_by_one(
        self, url: str, pipeline: MediaPipeline, loader: VideoFrames
    ) -> Any:
        """vLLM's form of a video whose frames are JPEG files, in base64 with commas between."""
        medium = lifted_of(url)
        data = url[url.find(",") + 1 :] if medium is None else medium.text()
        most = loader.check(pipeline.limits.frames)
        encoded = data.split(",", most)[:most]
        files = [pybase64.b64decode(frame, validate=True) for frame in encoded]
        recipe = Recipe("", "RGB", _WHITE)
        pictures = await asyncio.gather(*(pipeline.picture(file, recipe) for file in files))
        return loader.load_frames([picture.image() for picture in pictures], data)


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
