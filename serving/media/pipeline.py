"""Media of requests, from bytes to what the engine's front end takes, within the server's limits.

One for a server: a pool of worker processes, what was prepared lately, and counts of it all. The
engine's media connector uses it; it knows nothing of vLLM.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from sensorium.model_adapters.audio_model import AudioModel
from sensorium.serving.media.budget import RequestLimits, spend
from sensorium.serving.media.cache import SingleFlightCache
from sensorium.serving.media.content import Content
from sensorium.serving.media.decoded import DecodedPicture, DecodedPictures
from sensorium.serving.media.downloads import Downloads
from sensorium.serving.media.limits import MediaLimits
from sensorium.serving.media.measures import MediaMeasures
from sensorium.serving.media.origin import request_mark
from sensorium.serving.media.pool import Answer, MediaPool, MediaWorkError, PoolOptions, Reply
from sensorium.serving.media.prepared import (
    FrameRule,
    PreparedPicture,
    PreparedSound,
    PreparedVideo,
    Recipe,
    VideoSource,
)
from sensorium.serving.memory import keep_memory
from sensorium.serving.settings import ServeSettings

__all__ = ["MediaPipeline"]

# Bytes whose digest takes more than a millisecond, and is left to a thread.
_LONG = 1 << 20
# Decoding a recording takes a thousandth of its length on a machine that does nothing else.
_DECODE_SECONDS, _DECODE_SPEED = 60.0, 60.0
_RECORDERS = 2
# Of the memory for media a fourth keeps files as they were fetched, an eighth decoded pictures:
# these are ten times as large as what is prepared of them, and would push it out.
_FILES_SHARE, _DECODED_SHARE = 4, 8
# Rules of sampling take time and memory by these.
_MOST_FRAMES, _MOST_FPS = 10_000_000, 100_000.0

# What reading an answer raises that is not as it must be: a worker may have been taken over.
_SENSELESS = (KeyError, TypeError, AttributeError)
_log = logging.getLogger(__name__)

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
        for_decoded = self.limits.cache_bytes // _DECODED_SHARE
        self.downloads = Downloads(for_files)
        self.decoded = DecodedPictures(for_decoded)
        left = self.limits.cache_bytes - for_files - for_decoded
        self.prepared = SingleFlightCache[_Prepared](left)
        self.measures = MediaMeasures(self)

    def start(self) -> None:
        """Start the workers; returns at once."""
        keep_memory()
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

        def prepare(file: bytes, digest: bytes) -> Coroutine[Any, Any, PreparedPicture]:
            return self._picture(file, digest, content, recipe)

        found = await self._once("image", content, recipe.key(), prepare)
        spend("pixels", math.prod(found.size))
        return found

    async def video(self, content: Content, rule: FrameRule) -> PreparedVideo:
        """Decode the frames of a video file that `rule` chooses.

        Raises MediaWorkError for one that cannot be used.
        """

        def prepare(file: bytes, digest: bytes) -> Coroutine[Any, Any, PreparedVideo]:
            return self._video(digest, content, rule)

        found = await self._once("video", content, f"video {rule.name}".encode(), prepare)
        spend("pixels", math.prod(found.pixels.shape[:3]))
        return found

    async def sound(self, content: Content, model: AudioModel | None = None) -> PreparedSound:
        """Decode a sound file at its own rate, or at `model`'s.

        Raises MediaWorkError for one that cannot be used, or is longer than `model` hears.
        """
        name = "" if model is None else model.name

        def prepare(file: bytes, digest: bytes) -> Coroutine[Any, Any, PreparedSound]:
            return self._sound(content, name)

        found = await self._once("audio", content, _how_heard(model), prepare)
        spend("seconds", len(found.samples) / found.rate)
        return found

    async def _once(
        self,
        kind: str,
        content: Content,
        how: bytes,
        prepare: Callable[[bytes, bytes], Coroutine[Any, Any, _P]],
    ) -> _P:
        """What was prepared lately of this content, or is being prepared, or a new preparation.

        `prepare` is given the digests of the content, and of that and `how` together.
        """
        long = len(content) > _LONG
        file = await asyncio.to_thread(_digest, content) if long else _digest(content)
        digest = _digest(file, how)
        prepared_now = False

        async def prepare_now() -> _P:
            nonlocal prepared_now
            prepared_now = True
            try:
                return await prepare(file, digest)
            except MediaWorkError:
                raise  # and was counted
            except ValueError:
                self.measures.failed(kind)
                raise
            except _SENSELESS as error:
                self.measures.failed(kind)
                _log.exception("a worker's answer made no sense")
                raise MediaWorkError("the decoder broke down over it") from error

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
            self.measures.failed(kind.removeprefix("decoded "))
            raise

    async def _picture(
        self, file: bytes, digest: bytes, content: Content, recipe: Recipe
    ) -> PreparedPicture:
        header: dict[str, Any] = {
            "max_pixels": self.limits.pixels,
            "exact": self.exact,
            "recipe": recipe.plan,
            "mode": recipe.mode,
            "background": recipe.background,
        }
        answer, outcome = await self._prepared_picture(file, recipe.key(), header, content)
        picture = _picture_of(answer, digest)
        if outcome == "prepared":
            pixels = math.prod(picture.size)
            self.measures.worked("image", answer, len(content), pixels=pixels)
        else:
            self.measures.worked("image", answer, outcome=outcome)
        return picture

    async def _prepared_picture(
        self, file: bytes, way: bytes, header: dict[str, Any], content: Content
    ) -> tuple[Answer, str]:
        """A worker's answer to `header`, and whether of what was `decoded` or `prepared` anew."""

        async def decode() -> DecodedPicture:
            limits = {"max_pixels": self.limits.pixels, "most": self.decoded.kept.limit}
            answer = await self._work("decoded image", limits, content)
            self.measures.took("image", answer)
            return DecodedPicture(answer.header["drawn"], answer.content)

        decoded = await self.decoded.get(content, file, way, decode)
        if decoded is not None:
            header = {**header, "drawn": decoded.drawn}
            return await self._work("image", header, decoded.pixels), "decoded"
        return await self._work("image", header, content), "prepared"

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
        pixels = _array(answer.content, np.uint8).reshape(shape)
        source = _source(answer.header["source"])
        self.measures.worked(
            "video", answer, len(content), pixels=math.prod(shape[:3]), seconds=source.duration
        )
        return PreparedVideo(digest, pixels, list(answer.header["valid"]), source)

    async def _sound(self, content: Content, heard_by: str) -> PreparedSound:
        header: dict[str, Any] = {"max_seconds": self.limits.seconds}
        if heard_by:
            header |= {"heard_by": heard_by}
        answer = await self._work("audio", header, content)
        samples, rate = _array(answer.content, np.float32), int(answer.header["rate"])
        if rate <= 0:
            raise ValueError(f"it says that it has {rate} samples a second")
        self.measures.worked("audio", answer, len(content), seconds=len(samples) / rate)
        return PreparedSound(samples, rate)


def _array(content: Content, kind: npt.DTypeLike) -> npt.NDArray[Any]:
    """The numbers in `content`; of `np.frombuffer` the garbage collector would see two objects."""
    return np.ndarray((len(content) // np.dtype(kind).itemsize,), kind, buffer=content)


def _picture_of(answer: Answer, digest: bytes) -> PreparedPicture:
    """What a worker made of a picture."""
    floats = answer.header.get("dtype") == "float32"
    pixels = _array(answer.content, np.float32 if floats else np.uint8)
    width, height = answer.header["size"]
    if "shape" in answer.header:
        pixels = pixels.reshape(answer.header["shape"])
        return PreparedPicture(digest, (width, height), pixels)
    drawn = tuple(answer.header["drawn"])
    return PreparedPicture(digest, (width, height), pixels, answer.header["mode"], drawn)


def _source(told: dict[str, Any]) -> VideoSource:
    """What a worker tells of a video; it may have been taken over, so numbers are checked."""
    frames, fps, duration = int(told["frames"]), float(told["fps"]), float(told["duration"])
    if not (0 < frames <= _MOST_FRAMES and 0 <= fps <= _MOST_FPS and math.isfinite(duration)):
        raise ValueError(f"it says that it has {frames:,} frames, {fps:g} a second")
    return VideoSource(frames, fps, duration)


def _how_heard(model: AudioModel | None) -> bytes:
    """Names how a model hears: what one with no limit hears, all others with its rate hear too."""
    if model is None:
        return b"sound"
    limited = model.name if model.seconds is not None else ""
    return f"sound at {model.rate} {limited}".encode()


def _digest(content: Content, how: bytes = b"") -> bytes:
    found = hashlib.sha256(content)
    found.update(how)
    return found.digest()
