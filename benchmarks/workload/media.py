"""A medium as a file in memory."""

from __future__ import annotations

from dataclasses import dataclass

from sensorium.benchmarks.measure.record import MediaFact

__all__ = ["MediaFile"]


@dataclass(frozen=True)
class MediaFile:
    """Bytes of an image, sound or video, and what is known of them.

    `kind` is `image`, `audio` or `video`; `subtype` the second half of its media type. `amount` and
    `label` are as in `MediaFact`.
    """

    kind: str
    subtype: str
    content: bytes
    amount: float
    label: str

    @property
    def media_type(self) -> str:
        """As in `image/jpeg`."""
        return f"{self.kind}/{self.subtype}"

    def fact(self, *, reused: bool) -> MediaFact:
        """What a record keeps of it."""
        return MediaFact(self.kind, self.amount, len(self.content), self.label, reused)
