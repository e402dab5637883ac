"""A sound file to mono samples at its own rate, in a worker.

libsndfile reads what it knows; FFmpeg (PyAV) the rest, and the sound of videos. What a file says of
its length is checked before decoding, and what comes out is counted while it comes.
"""

from __future__ import annotations

import io
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from sensorium.serving.media.work import MediaRefusedError

__all__ = ["sound_job"]

_Samples = npt.NDArray[np.float32]
_CHANNELS = 32


def sound_job(header: dict[str, Any], content: bytes) -> tuple[dict[str, Any], Any]:
    """Decode `content` to float32 samples; the answer's header has their `rate`.

    `header` holds `max_seconds`. Channels are averaged. Raises MediaRefusedError.
    """
    import soundfile

    began = time.perf_counter()
    try:
        samples, rate = _by_libsndfile(content, header["max_seconds"])
    except soundfile.LibsndfileError:
        samples, rate = _by_ffmpeg(content, header["max_seconds"])
    if not samples.size:
        raise MediaRefusedError("it holds no sound")
    if not np.isfinite(samples).all():
        raise MediaRefusedError("it holds samples that are not numbers")
    spent = round(1000 * (time.perf_counter() - began), 3)
    return {"rate": rate, "milliseconds": {"decode": spent}}, np.ascontiguousarray(samples)


def _by_libsndfile(content: bytes, most: float) -> tuple[_Samples, int]:
    import soundfile

    with soundfile.SoundFile(io.BytesIO(content)) as file:
        _check(file.frames / file.samplerate, file.channels, most)
        samples: _Samples = file.read(dtype="float32", always_2d=True)
        return samples.mean(axis=1), int(file.samplerate)


def _by_ffmpeg(content: bytes, most: float) -> tuple[_Samples, int]:
    import av

    try:
        # Only the file itself is opened: playlists name other files, and addresses.
        options = {"protocol_whitelist": "file,pipe"}
        with av.open(io.BytesIO(content), metadata_errors="ignore", options=options) as container:
            if not container.streams.audio:
                raise MediaRefusedError("it holds no sound")
            stream = container.streams.audio[0]
            _check((container.duration or 0) / 1_000_000, stream.codec_context.channels, most)
            rate = int(stream.codec_context.sample_rate)
            resampler = av.AudioResampler(format="fltp", rate=rate)
            pieces: list[_Samples] = []
            count = 0
            for frame in container.decode(stream):
                for out in resampler.resample(frame):
                    pieces.append(out.to_ndarray().mean(axis=0))
                    count += len(pieces[-1])
                    _check(count / rate, 1, most)
    except av.error.FFmpegError as error:
        words = (error.strerror or str(error)).lower()
        raise MediaRefusedError(f"not a sound that this server reads ({words})") from None
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32), rate


def _check(seconds: float, channels: int, most: float) -> None:
    if seconds > most:
        raise MediaRefusedError(
            f"it holds {seconds:.0f} s of sound; at most {most:.0f} s are taken: cut it into parts"
        )
    if channels > _CHANNELS:
        raise MediaRefusedError(f"it has {channels} channels; at most {_CHANNELS} are taken")
