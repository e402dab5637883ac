"""How much media may be; every limit is on by default."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MediaLimits"]


@dataclass(frozen=True)
class MediaLimits:
    """`pixels` of one picture and `seconds` of one sound, both checked before decoding.

    `cache_bytes` bounds what is kept of pictures that were prepared lately.
    """

    pixels: int = 64_000_000
    seconds: float = 600.0
    cache_bytes: int = 256 << 20
