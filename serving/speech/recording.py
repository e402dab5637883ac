"""A sound or video file as 16 kHz mono samples on disk, of which windows are read.

Workers decode the file (`media/recording_work.py`), because it is bytes that strangers sent: one
that makes FFmpeg crash or hang costs a worker and its own request. What a worker hands over is an
open file without a name. It is read, not mapped into memory: a worker that somebody has taken over
could cut a mapped file off, which would kill whoever reads it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorium.serving.errors import BadRequestError, UnavailableError
from sensorium.serving.media.handover import SentFile
from sensorium.serving.media.origin import request_mark
from sensorium.serving.media.pipeline import MediaPipeline
from sensorium.serving.media.pool import MediaWorkError
from sensorium.serving.media.recording_work import NO_ROOM
from sensorium.serving.speech.features import RATE, Samples

__all__ = ["Decoder", "Recording", "SoundLimits"]

_BYTES = np.dtype(np.int16).itemsize


@dataclass(frozen=True)
class SoundLimits:
    """What is taken: seconds of sound, channels, and samples a second."""

    seconds: float = 4 * 3600.0
    channels: int = 32
    rates: tuple[int, int] = (1_000, 768_000)


@dataclass(frozen=True)
class Recording:
    """Mono 16-bit samples at 16 kHz."""

    samples: Samples

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / RATE


class _OnDisk:
    """Samples of a file; a slice of them is read when it is taken. Threads may share it."""

    def __init__(self, file: SentFile) -> None:
        self._file = file

    def __len__(self) -> int:
        return self._file.size // _BYTES

    def __getitem__(self, part: slice, /) -> NDArray[np.int16]:
        first, end, _ = part.indices(len(self))
        data = self._file.read(max(0, end - first) * _BYTES, first * _BYTES)
        return np.frombuffer(data, np.int16)


class Decoder:
    """Has recordings decoded by a server's workers, within `limits`."""

    def __init__(self, media: MediaPipeline, limits: SoundLimits) -> None:
        self._media = media
        self._limits = limits
        media.recordings.start()

    async def decode(self, data: bytes, channel: int | None) -> Recording:
        """Decode the first sound track of a file; `channel` (from 0) is taken alone, None mixes.

        A caller that is cancelled ends the work. Raises BadRequestError naming what is wrong with
        the file, UnavailableError where the server has no room for it.
        """
        limits = self._limits
        header = {
            "kind": "recording",
            "seconds": limits.seconds,
            "channels": limits.channels,
            "rates": limits.rates,
            "channel": channel,
        }
        try:
            answer = await self._media.recordings.run(request_mark(), header, data)
        except MediaWorkError as error:
            self._media.measures.failed("recording")
            raise _for_the_client(error) from None
        if answer.file is None:
            raise BadRequestError("The decoder gave no sound", param="file", code="invalid_audio")
        self._media.measures.worked("recording", answer, len(data))
        return Recording(_OnDisk(answer.file))


def _for_the_client(error: MediaWorkError) -> BadRequestError | UnavailableError:
    if error.about == NO_ROOM:
        return UnavailableError(str(error))
    if error.about == "channel":
        return BadRequestError(str(error), param="channel")
    said = str(error) if error.about else f"The file cannot be read: {error}"
    return BadRequestError(said, param="file", code="invalid_audio")
