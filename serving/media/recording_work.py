"""A sound or video file to 16 kHz mono samples in a temporary file, in a worker, within limits.

FFmpeg (PyAV) reads the file piece by piece and the samples are written as they come, so that an
hour of sound takes 115 MB of disk and next to no memory. What a file says of itself is checked
before anything is decoded, and what comes out is counted while it comes.
"""

from __future__ import annotations

import errno
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from sensorium.serving.media.containers import opened
from sensorium.serving.media.work import MediaRefusedError

__all__ = ["NO_ROOM", "recording_job"]

# What a refusal is about where the file is not to blame.
NO_ROOM = "room"
_RATE = 16_000


@dataclass(frozen=True)
class _Limits:
    """Seconds of sound, channels, and samples a second; and which channel is taken alone."""

    seconds: float
    channels: int
    lowest: int
    highest: int
    channel: int | None

    def check(self, rate: int, channels: int) -> None:
        """Raise MediaRefusedError for a stream that is not taken; 0 is what is not known."""
        if rate and not self.lowest <= rate <= self.highest:
            raise _refuse(f"has {rate} samples a second; {self.lowest} to {self.highest} are taken")
        if channels > self.channels:
            raise _refuse(f"has {channels} channels; at most {self.channels} are taken")
        if self.channel is not None and channels and self.channel >= channels:
            raise MediaRefusedError(
                f"`channel` is {self.channel}, but the file has {channels} (numbered from 0)",
                about="channel",
            )

    def too_long(self, length: str) -> MediaRefusedError:
        """For a recording that holds `length` of sound."""
        return _refuse(
            f"holds {length} of sound; this server takes {self.seconds:.0f} s "
            "(`--max-audio-seconds`). Cut it into parts"
        )


def recording_job(header: dict[str, Any], content: bytes) -> tuple[dict[str, Any], Any]:
    """Decode the first sound track of `content` to int16 samples in a nameless file.

    `header` holds `seconds`, `channels` and `rates` (lowest, highest), the most that is taken, and
    `channel` (from 0), which is taken alone; None mixes. Raises MediaRefusedError whose `about` is
    the field of the form that is wrong, or NO_ROOM.
    """
    began = time.perf_counter()
    lowest, highest = header["rates"]
    limits = _Limits(header["seconds"], header["channels"], lowest, highest, header["channel"])
    if not content:
        raise _refuse("is empty (0 bytes)")
    file = tempfile.TemporaryFile(prefix="sensorium-sound-")  # noqa: SIM115 (it is handed over)
    try:
        for piece in _decoded(content, limits):
            file.write(piece)
        file.flush()
    except BaseException as error:
        file.close()
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            room = "There is no room for decoded sound in the server's temporary folder"
            raise MediaRefusedError(room, about=NO_ROOM) from None
        raise
    return {"milliseconds": {"decode": round(1000 * (time.perf_counter() - began), 3)}}, file


def _refuse(why: str) -> MediaRefusedError:
    return MediaRefusedError(f"The file {why}", about="file")


def _decoded(content: bytes, limits: _Limits) -> Iterator[bytes]:
    try:
        with opened(content, "sound or video file") as container:
            stream = _sound_of(container)
            _check_before(container, stream, limits)
            yield from _pieces(container, stream, limits)
    except MediaRefusedError as error:
        raise error if error.about else _refuse(f"is {error}") from None


def _sound_of(container: Any) -> Any:
    if not container.streams.audio:
        kinds = sorted({stream.type for stream in container.streams})
        raise _refuse(f"has no sound in it (only {', '.join(kinds) or 'nothing'})")
    return container.streams.audio[0]


def _check_before(container: Any, stream: Any, limits: _Limits) -> None:
    limits.check(stream.codec_context.sample_rate, stream.codec_context.channels)
    # In units of a millionth of a second; a guess for formats without a length in the header.
    seconds = (container.duration or 0) / 1_000_000
    if stream.duration and stream.time_base:
        seconds = float(stream.duration * stream.time_base)
    if seconds > limits.seconds:
        raise limits.too_long(f"{seconds:.0f} s")


def _pieces(container: Any, stream: Any, limits: _Limits) -> Iterator[bytes]:
    """The samples as bytes, resampled, as they are decoded."""
    import av

    resampler = av.AudioResampler(format="s16", layout="mono", rate=_RATE)
    most, count = int(limits.seconds * _RATE), 0
    for frame in _frames(container, stream):
        limits.check(frame.sample_rate, frame.layout.nb_channels)
        _check_numbers(frame)
        for out in resampler.resample(_mono(frame, limits.channel)):
            count += out.samples
            if count > most:
                raise limits.too_long("more")
            yield out.to_ndarray().tobytes()
    with suppress(av.error.EOFError):
        for out in resampler.resample(None):
            yield out.to_ndarray().tobytes()


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """Decoded frames; damage after the first good ones ends the recording where it is."""
    import av

    decoded = 0
    try:
        for frame in container.decode(stream):
            decoded += 1
            yield frame
    except av.error.InvalidDataError:
        if not decoded:
            raise
    if not decoded:
        raise _refuse("holds a sound track with no sound in it")


def _check_numbers(frame: Any) -> None:
    if frame.format.name.startswith(("flt", "dbl")) and not np.isfinite(frame.to_ndarray()).all():
        raise _refuse("holds samples that are not numbers (NaN or infinite)")


def _mono(frame: Any, channel: int | None) -> Any:
    """The frame itself where FFmpeg mixes it as is usual; else one channel, or their mean."""
    import av

    named = "channels" not in frame.layout.name
    if frame.layout.nb_channels == 1 or (channel is None and named):
        return frame
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    if channel is None:
        alone = values.astype(np.float64).mean(axis=0).astype(values.dtype)
    else:
        alone = values[channel]
    packed = frame.format.packed.name
    mono = av.AudioFrame.from_ndarray(np.ascontiguousarray(alone[None]), packed, "mono")
    mono.sample_rate, mono.pts, mono.time_base = frame.sample_rate, frame.pts, frame.time_base
    return mono
