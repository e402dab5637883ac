"""Media of requests, from bytes to what the engine's front end takes, within the server's limits.

One for a server: a pool of worker processes, what was prepared lately, and counts of it all. The
engine's media connector uses it; it knows nothing of vLLM.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from sensorium.model_adapters.audio_model import AudioModel
from sensorium.serving.media.budget import RequestLimits, spend
from sensorium.serving.media.cache import SingleFlightCache
from sensorium.serving.media.content import Content
from sensorium.serving.media.downloads import Downloads
from sensorium.serving.media.limits import MediaLimits
from sensorium.serving.media.measures import MediaMeasures
from sensorium.serving.media.origin import request_mark
from sensorium.serving.media.pool import Answer, MediaPool, MediaWorkError, PoolOptions, Reply
from sensorium.serving.settings import ServeSettings

__all__ = [
    "FrameRule",
    "MediaPipeline",
    "PreparedPicture",
    "PreparedSound",
    "PreparedVideo",
    "Recipe",
    "VideoSource",
]

# Bytes whose digest takes more than a millisecond, and is left to a thread.
_LONG = 1 << 20
# Decoding a recording takes a thousandth of its length on a machine that does nothing else.
_DECODE_SECONDS, _DECODE_SPEED = 60.0, 60.0
_RECORDERS = 2
# Of the memory for media the part that keeps files as they were fetched: a fourth.
_FILES_SHARE = 4
# Rules of sampling take time and memory by these.
_MOST_FRAMES, _MOST_FPS = 10_000_000, 100_000.0


@dataclass(frozen=True)
class Recipe:
    """How one model's pictures are prepared.

    `plan` is a composed model's plan as JSON, or a `Fit`'s recipe. Without a plan a picture is
    decoded in `mode` (None: its own) over `background`; whole, where there is no `Fit` either.
    """

    plan: str = ""
    mode: str | None = "RGB"
    background: tuple[int, ...] = (255, 255, 255)

    def key(self) -> bytes:
        """Names the recipe among all."""
        text = json.dumps([self.plan, self.mode, self.background])
        return hashlib.sha256(text.encode()).digest()


@dataclass(frozen=True)
class PreparedPicture:
    """A picture, prepared: `pixels` are `[squares, 3, size, size]` from 0 to 255 for a plan.

    Without a plan they are the decoded picture's bytes in `mode`, `drawn` large. `size` is the
    file's own upright (width, height); `digest` names content and recipe together.
    """

    digest: bytes
    size: tuple[int, int]
    pixels: npt.NDArray[np.uint8] | npt.NDArray[np.float32]
    mode: str = ""
    drawn: tuple[int, int] = (0, 0)

    @property
    def nbytes(self) -> int:
        """What it takes of the cache."""
        return self.pixels.nbytes

    def image(self) -> Image.Image:
        """The decoded picture; it shares the pixels, so it must not be drawn into."""
        return Image.frombuffer(self.mode, self.drawn, self.pixels, "raw", self.mode, 0, 1)


@dataclass(frozen=True)
class VideoSource:
    """What is known of a video before it is decoded; `fps` and `duration` (s) are 0 if unknown."""

    frames: int
    fps: float
    duration: float


@dataclass(frozen=True)
class FrameRule:
    """Which frames of a video a model wants: `choose` gives indices, `name` tells rules apart.

    `choose` is called in a thread.
    """

    name: str
    choose: Callable[[VideoSource], list[int]]


@dataclass(frozen=True)
class PreparedVideo:
    """A video's frames, uint8 `[frames, height, width, 3]`, and their indices, ascending."""

    digest: bytes
    pixels: npt.NDArray[np.uint8]
    indices: list[int]
    source: VideoSource

    @property
    def nbytes(self) -> int:
        """What it takes of the cache."""
        return self.pixels.nbytes


@dataclass(frozen=True)
class PreparedSound:
    """A sound: mono samples, and how many there are in a second."""

    samples: npt.NDArray[np.float32]
    rate: int

    @property
    def nbytes(self) -> int:
        """What it takes of the cache."""
        return self.samples.nbytes


_Prepared = PreparedPicture | PreparedVideo | PreparedSound
_P = TypeVar("_P", PreparedPicture, PreparedVideo, PreparedSound)


class MediaPipeline:
    """Prepares media; `start` before the first, `close` after the last.

    `recordings` are workers for whole recordings, which take longer than anything in a chat; who
    needs them starts them.
    """

    def __init__(
        self,
        limits: MediaLimits | None = None,
        options: PoolOptions | None = None,
        *,
        exact: bool = False,
        recordings: PoolOptions | None = None,
    ) -> None:
        self.limits = limits or MediaLimits()
        self.exact = exact
        self.pool = MediaPool(options)
        self.recordings = MediaPool(recordings or PoolOptions(_RECORDERS))
        for_files = self.limits.cache_bytes // _FILES_SHARE
        self.downloads = Downloads(for_files)
        self.prepared = SingleFlightCache[_Prepared](self.limits.cache_bytes - for_files)
        self.measures = MediaMeasures(self)

    def start(self) -> None:
        """Start the workers; returns at once."""
        self.pool.start()

    def close(self) -> None:
        """End the workers."""
        self.pool.close()
        self.recordings.close()

    @classmethod
    def from_settings(cls, settings: ServeSettings) -> MediaPipeline:
        """The pipeline that a server or a batch was told to have."""
        limits = MediaLimits(
            pixels=int(settings.media_max_mpixels * 1_000_000),
            seconds=settings.media_max_seconds,
            video_seconds=settings.media_max_video_seconds,
            frames=settings.media_max_frames,
            cache_bytes=int(settings.media_cache_mb * (1 << 20)),
            request=RequestLimits(
                items=settings.media_max_request_items,
                bytes=int(settings.media_max_request_mb * (1 << 20)),
                pixels=int(settings.media_max_request_mpixels * 1_000_000),
                seconds=settings.media_max_request_seconds,
                tokens=settings.media_max_request_tokens,
            ),
        )
        workers = settings.media_workers or min(8, os.cpu_count() or 1)
        options = PoolOptions(workers, waiting=settings.media_queue, seconds=settings.media_timeout)
        longest = _DECODE_SECONDS + settings.max_audio_seconds / _DECODE_SPEED
        recordings = PoolOptions(_RECORDERS, seconds=longest)
        return cls(limits, options, exact=settings.media_exact, recordings=recordings)

    async def picture(self, content: Content, recipe: Recipe) -> PreparedPicture:
        """Prepare an image file.

        Raises MediaWorkError for one that cannot be used.
        """

        def prepare(digest: bytes) -> Coroutine[Any, Any, PreparedPicture]:
            return self._picture(digest, content, recipe)

        found = await self._once("image", content, recipe.key(), prepare)
        spend("pixels", math.prod(found.size))
        return found

    async def video(self, content: Content, rule: FrameRule) -> PreparedVideo:
        """Decode the frames of a video file that `rule` chooses.

        Raises MediaWorkError for one that cannot be used.
        """

        def prepare(digest: bytes) -> Coroutine[Any, Any, PreparedVideo]:
            return self._video(digest, content, rule)

        found = await self._once("video", content, f"video {rule.name}".encode(), prepare)
        spend("pixels", math.prod(found.pixels.shape[:3]))
        return found

    async def sound(self, content: Content, model: AudioModel | None = None) -> PreparedSound:
        """Decode a sound file at its own rate, or at `model`'s.

        Raises MediaWorkError for one that cannot be used, or is longer than `model` hears.
        """
        name = "" if model is None else model.name

        def prepare(digest: bytes) -> Coroutine[Any, Any, PreparedSound]:
            return self._sound(content, name)

        found = await self._once("audio", content, f"sound {name}".encode(), prepare)
        spend("seconds", len(found.samples) / found.rate)
        return found

    async def _once(
        self,
        kind: str,
        content: Content,
        how: bytes,
        prepare: Callable[[bytes], Coroutine[Any, Any, _P]],
    ) -> _P:
        """What was prepared lately of this content, or is being prepared, or a new preparation."""
        long = len(content) > _LONG
        digest = await asyncio.to_thread(_digest, content, how) if long else _digest(content, how)
        prepared_now = False

        def prepare_now() -> Coroutine[Any, Any, _P]:
            nonlocal prepared_now
            prepared_now = True
            return prepare(digest)

        found = await self.prepared.get(digest, prepare_now)
        if not prepared_now:
            self.measures.hit(kind)
        return cast(_P, found)  # the digest names the kind too

    async def _work(
        self,
        kind: str,
        header: dict[str, Any],
        content: Content,
        reply: Reply | None = None,
    ) -> Answer:
        try:
            return await self.pool.run(request_mark(), {"kind": kind, **header}, content, reply)
        except MediaWorkError:
            self.measures.failed(kind)
            raise

    async def _picture(self, digest: bytes, content: Content, recipe: Recipe) -> PreparedPicture:
        header: dict[str, Any] = {
            "max_pixels": self.limits.pixels,
            "exact": self.exact,
            "recipe": recipe.plan,
            "mode": recipe.mode,
            "background": recipe.background,
        }
        answer = await self._work("image", header, content)
        floats = answer.header.get("dtype") == "float32"
        kind: type[np.uint8 | np.float32] = np.float32 if floats else np.uint8
        pixels: npt.NDArray[Any] = np.frombuffer(answer.content, dtype=kind)
        width, height = answer.header["size"]
        self.measures.worked("image", answer, len(content), width * height)
        if "shape" in answer.header:
            pixels = pixels.reshape(answer.header["shape"])
            return PreparedPicture(digest, (width, height), pixels)
        drawn = tuple(answer.header["drawn"])
        return PreparedPicture(digest, (width, height), pixels, answer.header["mode"], drawn)

    async def _video(self, digest: bytes, content: Content, rule: FrameRule) -> PreparedVideo:
        header: dict[str, Any] = {
            "max_pixels": self.limits.pixels,
            "max_seconds": self.limits.video_seconds,
            "max_frames": self.limits.frames,
            "max_total_pixels": self.limits.request.pixels,
        }

        def choose(question: dict[str, Any]) -> list[int]:
            return rule.choose(_source(question))

        answer = await self._work("video", header, content, choose)
        shape = answer.header["shape"]
        pixels = np.frombuffer(answer.content, dtype=np.uint8).reshape(shape)
        self.measures.worked("video", answer, len(content), math.prod(shape[:3]))
        return PreparedVideo(
            digest, pixels, list(answer.header["valid"]), _source(answer.header["source"])
        )

    async def _sound(self, content: Content, heard_by: str) -> PreparedSound:
        header: dict[str, Any] = {"max_seconds": self.limits.seconds}
        if heard_by:
            header |= {"heard_by": heard_by}
        answer = await self._work("audio", header, content)
        self.measures.worked("audio", answer, len(content))
        samples = np.frombuffer(answer.content, dtype=np.float32)
        return PreparedSound(samples, int(answer.header["rate"]))


def _source(told: dict[str, Any]) -> VideoSource:
    """What a worker tells of a video; it may have been taken over, so numbers are checked."""
    frames, fps, duration = int(told["frames"]), float(told["fps"]), float(told["duration"])
    if not (0 < frames <= _MOST_FRAMES and 0 <= fps <= _MOST_FPS and math.isfinite(duration)):
        raise ValueError(f"it says that it has {frames:,} frames, {fps:g} a second")
    return VideoSource(frames, fps, duration)


def _digest(content: Content, how: bytes) -> bytes:
    found = hashlib.sha256(hashlib.sha256(how).digest())
    found.update(content)
    return found.digest()
