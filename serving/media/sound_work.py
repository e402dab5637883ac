"""A sound file to mono samples, in a worker: at its own rate or that of the model that hears it.

libsndfile reads what it knows; FFmpeg (PyAV) the rest, and the sound of videos. What a file says of
its length is checked before decoding, and what comes out is counted while it comes. soxr resamples.
"""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sensorium.model_adapters.audio_model import AudioModel
from sensorium.model_adapters.audio_models import audio_model
from sensorium.serving.media.containers import opened
from sensorium.serving.media.work import MediaRefusedError

__all__ = ["sound_job"]

_Samples = npt.NDArray[np.float32]
_CHANNELS = 32


def sound_job(header: dict[str, Any], content: bytes) -> tuple[dict[str, Any], Any]:
    """Decode `content` to float32 samples; the answer's header has their `rate`.

    `header` holds `max_seconds` and, as `heard_by`, the name of an audio model's entry where one
    will hear it. Channels are averaged. Raises MediaRefusedError.
    """
    import soundfile

    began = time.perf_counter()
    model = audio_model(header.get("heard_by", ""))
    limit = _Limit(header["max_seconds"], model)
    try:
        samples, rate = _by_libsndfile(content, limit)
    except soundfile.LibsndfileError:
        samples, rate = _by_ffmpeg(content, limit)
    if not samples.size:
        raise MediaRefusedError("it holds no sound")
    if not np.isfinite(samples).all():
        raise MediaRefusedError("it holds samples that are not numbers")
    if model is not None and rate != model.rate:
        samples, rate = _resampled(samples, rate, model.rate), model.rate
    spent = round(1000 * (time.perf_counter() - began), 3)
    return {"rate": rate, "milliseconds": {"decode": spent}}, np.ascontiguousarray(samples)


@dataclass(frozen=True)
class _Limit:
    """The server's limit on seconds, and the model that must hear the whole sound."""

    seconds: float
    model: AudioModel | None

    def check(self, seconds: float, channels: int) -> None:
        """Raise MediaRefusedError for what is over it."""
        if seconds > self.seconds:
            raise MediaRefusedError(
                f"it holds {seconds:.0f} s of sound; at most {self.seconds:.0f} s are taken: "
                "cut it into parts"
            )
        said = None if self.model is None else self.model.too_long(seconds)
        if said is not None:
            raise MediaRefusedError(said)
        if channels > _CHANNELS:
            raise MediaRefusedError(f"it has {channels} channels; at most {_CHANNELS} are taken")


def _by_libsndfile(content: bytes, limit: _Limit) -> tuple[_Samples, int]:
    import soundfile

    with soundfile.SoundFile(io.BytesIO(content)) as file:
        limit.check(file.frames / file.samplerate, file.channels)
        samples: _Samples = file.read(dtype="float32", always_2d=True)
        return samples.mean(axis=1), int(file.samplerate)


def _by_ffmpeg(content: bytes, limit: _Limit) -> tuple[_Samples, int]:
    import av

    with opened(content, "sound") as container:
        if not container.streams.audio:
            raise MediaRefusedError("it holds no sound")
        stream = container.streams.audio[0]
        limit.check((container.duration or 0) / 1_000_000, stream.codec_context.channels)
        rate = int(stream.codec_context.sample_rate)
        resampler = av.AudioResampler(format="fltp", rate=rate)
        pieces: list[_Samples] = []
        count = 0
        for frame in container.decode(stream):
            for out in resampler.resample(frame):
                pieces.append(out.to_ndarray().mean(axis=0))
                count += len(pieces[-1])
                limit.check(count / rate, 1)
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32), rate


def _resampled(samples: _Samples, rate: int, target: int) -> _Samples:
    """By soxr in high quality, to `ceil(count * target / rate)` samples, as librosa does it.

    librosa/librosa, librosa/core/audio.py, `resample` with its default "soxr_hq".
    """
    import soxr

    found: _Samples = soxr.resample(samples, rate, target, quality="HQ")
    count = -(-len(samples) * target // rate)
    return np.pad(found[:count], (0, max(0, count - len(found))))
