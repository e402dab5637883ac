"""vLLM's video loaders around frames that media workers decode.

A loader of vLLM 0.32 is a class that knows which frames a model wants, and what to say of them; all
have their decoding done by `vllm.multimodal.video.decode_video`. That function is replaced here: a
loader runs once to say which frames it wants, and once more on those that a worker decoded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from PIL import Image
from vllm.multimodal import video as vllm_video
from vllm.multimodal.media.video import VideoMediaIO
from vllm.multimodal.video import VIDEO_LOADER_REGISTRY, get_video_loader_backend_for_processor
from vllm.multimodal.video_decoders import VideoSourceMetadata, decode_video

from sensorium.serving.media.content import Content
from sensorium.serving.media.prepared import FrameRule, PreparedVideo, VideoSource

__all__ = ["VideoFrames"]

# Options of a request that a loader's time and memory go by.
_COUNTS = ("num_frames", "max_frames", "min_frames")
_RATES = ("fps", "sampling_fps", "max_fps")
_MOST_FPS = 240


class _WantedError(Exception):
    """Leaves a loader as soon as it is known which frames it wants."""

    def __init__(self, indices: list[int]) -> None:
        self.indices = indices


@dataclass(frozen=True)
class _Codec:
    """Stands in for a decoder: the video's `source`, and its frames once they are decoded."""

    source: VideoSource
    video: PreparedVideo | None = None

    def decode(self, loader: Any, target: Any, options: Mapping[str, Any]) -> Any:
        """As vLLM's decoders: frames, the source, the indices wanted, and those there are."""
        told = VideoSourceMetadata(self.source.frames, self.source.fps, self.source.duration)
        source = loader._prepare_source(told)
        wanted = loader.compute_frames_index_to_sample(source=source, target=target, **options)
        if self.video is None:
            raise _WantedError([int(index) for index in wanted])
        return self.video.pixels, source, wanted, list(self.video.indices)


_CODEC: ContextVar[_Codec | None] = ContextVar("codec", default=None)


def _decode(backend: str, loader: Any, data: bytes, target: Any, *rest: Any, **more: Any) -> Any:
    codec = _CODEC.get()
    if codec is None:
        return decode_video(backend, loader, data, target, *rest, **more)
    return codec.decode(loader, target, rest[0])


vllm_video.decode_video = _decode


@contextmanager
def _instead(codec: _Codec) -> Iterator[None]:
    token = _CODEC.set(codec)
    try:
        yield
    finally:
        _CODEC.reset(token)


@dataclass(frozen=True)
class VideoFrames:
    """How one request's videos are sampled: vLLM's loader of that `name`, with its `options`."""

    name: str
    options: Mapping[str, Any]

    @classmethod
    def of(
        cls, media_io_kwargs: Mapping[str, Mapping[str, Any]], processor: str | None
    ) -> VideoFrames:
        """By the options of the server and the request, as vLLM's connector chooses."""
        from vllm import envs

        options = dict(media_io_kwargs.get("video", {}))
        name = options.pop("video_backend", None)
        name = name or get_video_loader_backend_for_processor(processor)
        options.setdefault("num_frames", 32)
        return cls(str(name or envs.VLLM_VIDEO_LOADER_BACKEND), options)

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU decodes, which only the operator can ask for."""
        names = (self.name, self.options.get("backend", ""))
        device = str(self.options.get("device", "cpu"))
        return device != "cpu" or any(map(VIDEO_LOADER_REGISTRY.backend_requires_gpu, names))

    def check(self, most: int) -> int:
        """How many frames are asked for at most; ValueError for more than may be."""
        for name, limit in [*((name, most) for name in _COUNTS), *((n, _MOST_FPS) for n in _RATES)]:
            value = self.options.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"`{name}` must be a number, got {str(value)[:40]!r}")
            if not value <= limit:
                raise ValueError(f"`{name}` is {value:g}; at most {limit} is taken")
        asked = int(self.options["num_frames"])
        return asked if asked > 0 else most

    def rule(self) -> FrameRule:
        """Which frames are wanted."""
        name = json.dumps([self.name, self.options], sort_keys=True, default=str)
        return FrameRule(name, self._choose)

    def load(self, video: PreparedVideo, content: Content) -> Any:
        """What vLLM's loader makes of decoded frames: an array and what is known of it.

        `content` is the file: a loader may hand it on, for the sound in it.
        """
        with _instead(_Codec(video.source, video)):
            return self._run(content)

    def load_frames(self, frames: list[Image.Image], data: str) -> Any:
        """The same of frames that came as JPEG files, in base64 with commas between."""
        options = {**self.options, "num_frames": len(frames)}
        reader = VideoMediaIO(_Frames(frames), video_backend=self.name, **options)
        return reader.load_base64("video/jpeg", data)

    def _choose(self, source: VideoSource) -> list[int]:
        try:
            with _instead(_Codec(source)):
                self._run()
        except _WantedError as wanted:
            return wanted.indices
        raise RuntimeError(f"vLLM's loader {self.name} decodes by itself")

    def _run(self, content: Content = b"") -> Any:
        loader: Any = VIDEO_LOADER_REGISTRY.load(self.name)
        return loader.load_bytes(content, **self.options)


class _Frames:
    """In place of vLLM's reader of images: gives those that were read already."""

    def __init__(self, frames: list[Image.Image]) -> None:
        self._frames = iter(frames)

    def load_base64(self, media_type: str, data: str) -> Image.Image:
        """The next one."""
        return next(self._frames)
