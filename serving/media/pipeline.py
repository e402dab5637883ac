"""Media of requests, from bytes to what the engine's front end takes, within the server's limits.

One for a server: a pool of worker processes, what was prepared lately, and counts of it all. The
engine's media connector uses it; it knows nothing of vLLM.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sensorium.model_adapters.audio_model import AudioModel
from sensorium.serving.media.cache import SingleFlightCache
from sensorium.serving.media.limits import MediaLimits
from sensorium.serving.media.measures import MediaMeasures
from sensorium.serving.media.origin import request_mark
from sensorium.serving.media.pool import Answer, MediaPool, MediaWorkError, PoolOptions
from sensorium.serving.settings import ServeSettings

__all__ = ["MediaPipeline", "PreparedPicture", "Recipe"]

# Bytes whose digest takes more than a millisecond, and is left to a thread.
_LONG = 1 << 20


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
    """A picture, prepared: `pixels` are uint8 `[squares, 3, size, size]` for a plan.

    Without a plan they are the decoded picture's bytes in `mode`, `drawn` large. `size` is the
    file's own upright (width, height); `digest` names content and recipe together.
    """

    digest: bytes
    size: tuple[int, int]
    pixels: npt.NDArray[np.uint8]
    mode: str = ""
    drawn: tuple[int, int] = (0, 0)

    @property
    def nbytes(self) -> int:
        """What it takes of the cache."""
        return self.pixels.nbytes

    def image(self) -> Image.Image:
        """The decoded picture; it shares the pixels, so it must not be drawn into."""
        return Image.frombuffer(self.mode, self.drawn, self.pixels, "raw", self.mode, 0, 1)


class MediaPipeline:
    """Prepares media; `start` before the first, `close` after the last."""

    def __init__(
        self,
        limits: MediaLimits | None = None,
        options: PoolOptions | None = None,
        *,
        exact: bool = False,
    ) -> None:
        self.limits = limits or MediaLimits()
        self.exact = exact
        self.pool = MediaPool(options)
        self.pictures: SingleFlightCache[PreparedPicture] = SingleFlightCache(
            self.limits.cache_bytes
        )
        self.measures = MediaMeasures(self)

    def start(self) -> None:
        """Start the workers; returns at once."""
        self.pool.start()

    def close(self) -> None:
        """End the workers."""
        self.pool.close()

    @classmethod
    def from_settings(cls, settings: ServeSettings) -> MediaPipeline:
        """The pipeline that a server or a batch was told to have."""
        limits = MediaLimits(
            pixels=int(settings.media_max_mpixels * 1_000_000),
            seconds=settings.media_max_seconds,
            cache_bytes=int(settings.media_cache_mb * (1 << 20)),
        )
        workers = settings.media_workers or min(8, os.cpu_count() or 1)
        options = PoolOptions(workers, waiting=settings.media_queue, seconds=settings.media_timeout)
        return cls(limits, options, exact=settings.media_exact)

    async def picture(self, content: bytes, recipe: Recipe) -> PreparedPicture:
        """Prepare an image file.

        Raises MediaWorkError for one that cannot be used.
        """
        if len(content) > _LONG:
            digest = await asyncio.to_thread(_digest, content, recipe)
        else:
            digest = _digest(content, recipe)
        prepared_now = False

        def prepare() -> Coroutine[Any, Any, PreparedPicture]:
            nonlocal prepared_now
            prepared_now = True
            return self._prepare(digest, content, recipe)

        found = await self.pictures.get(digest, prepare)
        if not prepared_now:
            self.measures.hit("image")
        return found

    async def sound(
        self, content: bytes, model: AudioModel | None = None
    ) -> tuple[npt.NDArray[np.float32], int]:
        """Decode a sound file to mono samples and their rate: the file's own, or `model`'s.

        Raises MediaWorkError for one that cannot be used, or is longer than `model` hears.
        """
        header: dict[str, Any] = {"max_seconds": self.limits.seconds}
        if model is not None:
            header |= {"heard_by": model.name}
        answer = await self._work("audio", header, content)
        self.measures.worked("audio", answer, len(content))
        return np.frombuffer(answer.content, dtype=np.float32), int(answer.header["rate"])

    async def _work(self, kind: str, header: dict[str, Any], content: bytes) -> Answer:
        try:
            return await self.pool.run(request_mark(), {"kind": kind, **header}, content)
        except MediaWorkError:
            self.measures.failed(kind)
            raise

    async def _prepare(self, digest: bytes, content: bytes, recipe: Recipe) -> PreparedPicture:
        header: dict[str, Any] = {
            "max_pixels": self.limits.pixels,
            "exact": self.exact,
            "recipe": recipe.plan,
            "mode": recipe.mode,
            "background": recipe.background,
        }
        answer = await self._work("image", header, content)
        pixels = np.frombuffer(answer.content, dtype=np.uint8)
        width, height = answer.header["size"]
        self.measures.worked("image", answer, len(content), width * height)
        if "shape" in answer.header:
            pixels = pixels.reshape(answer.header["shape"])
            return PreparedPicture(digest, (width, height), pixels)
        drawn = tuple(answer.header["drawn"])
        return PreparedPicture(digest, (width, height), pixels, answer.header["mode"], drawn)


def _digest(content: bytes, recipe: Recipe) -> bytes:
    found = hashlib.sha256(recipe.key())
    found.update(content)
    return found.digest()
