"""From a sound or video file to 16 kHz mono samples on disk, within limits.

FFmpeg (PyAV) reads the file piece by piece; the samples go to a nameless temporary file, of which
windows are mapped into memory. So an hour of sound takes 115 MB of disk and next to no memory.
What a file says of itself is checked before anything is decoded, and what comes out is counted
while it comes.
"""

from __future__ import annotations

import io
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from sensorium.serving.errors import BadRequestError
from sensorium.serving.speech.features import RATE, Samples

__all__ = ["CancelledDecoding", "Recording", "SoundLimits", "decode"]


@dataclass(frozen=True)
class SoundLimits:
    """What is taken: seconds of sound, channels, and samples a second."""

    seconds: float = 4 * 3600.0
    channels: int = 32
    rates: tuple[int, int] = (1_000, 768_000)


class CancelledDecoding(Exception):  # noqa: N818 - a state, as asyncio.CancelledError is
    """Nobody waits for this recording any more."""


@dataclass(frozen=True)
class Recording:
    """Mono 16-bit samples at 16 kHz."""

    samples: Samples

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / RATE


def decode(
    data: bytes, limits: SoundLimits, channel: int | None, cancelled: threading.Event
) -> Recording:
    """Decode the first sound track of a file; `channel` (from 0) is taken alone, None mixes.

    Raises BadRequestError naming what is wrong with the file. Runs seconds; not for an event loop.
    """
    import av

    if not data:
        raise _refuse("is empty (0 bytes)")
    # Only what is in the file may be opened: playlists name other files, and addresses.
    options = {"protocol_whitelist": "file,pipe"}
    try:
        with av.open(io.BytesIO(data), metadata_errors="ignore", options=options) as container:
            stream = _sound_of(container)
            _check_before(container, stream, limits, channel)
            with tempfile.TemporaryFile(prefix="sensorium-sound-") as file:
                for piece in _pieces(container, stream, limits, channel, cancelled):
                    file.write(piece)
                file.flush()
                return Recording(_mapped(file))
    except av.error.FFmpegError as error:
        raise _refuse(f"is no sound or video file that FFmpeg can read: {_words(error)}") from None
    except OSError as error:
        if isinstance(error.errno, int) and error.errno in {28, 122}:
            raise OSError(
                error.errno, "no room for decoded sound in the temporary folder"
            ) from None
        raise


def _refuse(why: str) -> BadRequestError:
    return BadRequestError(f"The file {why}", param="file", code="invalid_audio")


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".").lower()


def _mapped(file: Any) -> Samples:
    if file.tell() == 0:
        return np.zeros(0, np.int16)
    # The mapping keeps the file's content alive when the file itself is closed.
    return np.memmap(file, np.int16, mode="r")


def _sound_of(container: Any) -> Any:
    if not container.streams.audio:
        kinds = sorted({stream.type for stream in container.streams})
        raise _refuse(f"has no sound in it (only {', '.join(kinds) or 'nothing'})")
    return container.streams.audio[0]


def _check_before(container: Any, stream: Any, limits: SoundLimits, channel: int | None) -> None:
    low, high = limits.rates
    rate, channels = stream.codec_context.sample_rate, stream.codec_context.channels
    if rate and not low <= rate <= high:
        raise _refuse(f"has {rate} samples a second; {low} to {high} are taken")
    if channels > limits.channels:
        raise _refuse(f"has {channels} channels; at most {limits.channels} are taken")
    if channel is not None and channels and channel >= channels:
        raise BadRequestError(
            f"`channel` is {channel}, but the file has {channels} (numbered from 0)",
            param="channel",
        )
    # In units of a millionth of a second; a guess for formats without a length in the header.
    seconds = (container.duration or 0) / 1_000_000
    if stream.duration and stream.time_base:
        seconds = float(stream.duration * stream.time_base)
    if seconds > limits.seconds:
        raise _too_long(f"{seconds:.0f} s", limits)


def _too_long(length: str, limits: SoundLimits) -> BadRequestError:
    return _refuse(
        f"holds {length} of sound; this server takes {limits.seconds:.0f} s "
        "(`--max-audio-seconds`). Cut it into parts"
    )


def _pieces(
    container: Any, stream: Any, limits: SoundLimits, channel: int | None, cancelled: Any
) -> Iterator[bytes]:
    """The samples as bytes, resampled, as they are decoded."""
    import av

    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    most, count = int(limits.seconds * RATE), 0
    frames = _frames(container, stream)
    for frame in frames:
        if cancelled.is_set():
            raise CancelledDecoding
        _check_frame(frame, limits)
        for out in resampler.resample(_mono(frame, channel)):
            count += out.samples
            if count > most:
                raise _too_long("more", limits)
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


def _check_frame(frame: Any, limits: SoundLimits) -> None:
    low, high = limits.rates
    if not low <= frame.sample_rate <= high:
        raise _refuse(f"has {frame.sample_rate} samples a second; {low} to {high} are taken")
    if frame.layout.nb_channels > limits.channels:
        raise _refuse(
            f"has {frame.layout.nb_channels} channels; at most {limits.channels} are taken"
        )
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
    elif channel < len(values):
        alone = values[channel]
    else:
        raise BadRequestError(
            f"`channel` is {channel}, but the file has {len(values)} (numbered from 0)",
            param="channel",
        )
    packed = frame.format.packed.name
    mono = av.AudioFrame.from_ndarray(np.ascontiguousarray(alone[None]), packed, "mono")
    mono.sample_rate, mono.pts, mono.time_base = frame.sample_rate, frame.pts, frame.time_base
    return mono
