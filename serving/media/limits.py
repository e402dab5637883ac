"""How much media may be; every limit is on by default."""

from __future__ import annotations

from dataclasses import dataclass, field

from sensorium.serving.media.budget import RequestLimits

__all__ = ["MediaLimits"]


@dataclass(frozen=True)
class MediaLimits:
    """Limits of single media, all checked before decoding, and what is kept.

    `pixels` of one picture or frame; `seconds` of one sound, `video_seconds` of one video; `frames`
    taken of one video. `cache_bytes` bounds what is kept of files, decoded and prepared;
    `request` is for all media of a request.
    """

    pixels: int = 64_000_000
    seconds: float = 600.0
    video_seconds: float = 7_200.0
    frames: int = 2_048
    cache_bytes: int = 256 << 20
    request: RequestLimits = field(default_factory=RequestLimits)
