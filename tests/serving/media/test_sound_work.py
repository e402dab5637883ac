"""What a worker makes of sound files."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest

from sensorium.serving.media.sound_work import sound_job
from sensorium.serving.media.work import MediaRefusedError

soundfile = pytest.importorskip("soundfile", reason="an engine extra brings it")
av = pytest.importorskip("av", reason="an engine extra brings it")
soxr = pytest.importorskip("soxr", reason="an engine extra brings it")

RATE = 8_000
TONE = (0.5 * np.sin(np.arange(RATE) / RATE * 2 * np.pi * 440)).astype(np.float32)


def file(samples: npt.NDArray[np.float32], form: str = "WAV", rate: int = RATE) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=form)
    return buffer.getvalue()


def m4a(samples: npt.NDArray[np.float32]) -> bytes:
    """What libsndfile does not read."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.rate = RATE
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3"])
def test_every_format(form: str) -> None:
    answer, samples = sound_job({"max_seconds": 9}, file(TONE, form))
    assert answer["rate"] == RATE
    assert samples.dtype == np.float32
    assert np.abs(np.abs(samples).max() - 0.5) < 0.1
    assert abs(len(samples) - RATE) < 0.3 * RATE


def test_what_libsndfile_cannot_read_ffmpeg_does() -> None:
    answer, samples = sound_job({"max_seconds": 9}, m4a(TONE))
    assert answer["rate"] == RATE
    assert abs(np.abs(samples).max() - 0.5) < 0.1


def test_channels_are_averaged() -> None:
    _, samples = sound_job({"max_seconds": 9}, file(np.stack([TONE, -TONE], axis=1)))
    assert np.abs(samples).max() < 1e-3


@pytest.mark.parametrize("content", [file(TONE), m4a(TONE)], ids=["libsndfile", "ffmpeg"])
def test_the_length_is_checked(content: bytes) -> None:
    with pytest.raises(MediaRefusedError, match=r"at most 0 s are taken"):
        sound_job({"max_seconds": 0.4}, content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a sound"),
        (b"no sound at all", "not a sound"),
        (file(TONE)[:30], "not a sound"),
        (file(np.zeros(0, np.float32)), "no sound"),
    ],
)
def test_what_is_no_sound_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(MediaRefusedError, match=words):
        sound_job({"max_seconds": 9}, content)


def test_samples_that_are_no_numbers_are_refused() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.full(100, np.nan, np.float32), RATE, format="WAV", subtype="FLOAT")
    with pytest.raises(MediaRefusedError, match="not numbers"):
        sound_job({"max_seconds": 9}, buffer.getvalue())


@pytest.mark.parametrize("content", [file(TONE), m4a(TONE)], ids=["libsndfile", "ffmpeg"])
def test_a_sound_comes_at_the_rate_of_who_hears_it(content: bytes) -> None:
    answer, samples = sound_job({"max_seconds": 9, "heard_by": "qwen2-audio"}, content)
    assert answer["rate"] == 16_000
    assert abs(len(samples) / 16_000 - 1) < 0.3
    # A tone of 440 Hz still is one.
    spectrum = np.abs(np.fft.rfft(samples[:16_000], 16_000))
    assert abs(int(spectrum.argmax()) - 440) <= 2


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("count", [1, 7, 1023, 4411, 100_003])
def test_it_is_resampled_as_librosa_does(count: int, rate: int) -> None:
    """What `librosa.load(path, sr=16000)` gives; a zero stands for a missing last sample."""
    noise = np.random.default_rng(count).normal(0, 0.1, (count, 2))
    content = file(noise.astype(np.float32), rate=rate)
    read, _ = soundfile.read(io.BytesIO(content), dtype="float32")
    expected = soxr.resample(read.mean(axis=1), rate, 16_000, quality="soxr_hq")
    answer, samples = sound_job({"max_seconds": 60, "heard_by": "qwen2-audio"}, content)
    assert answer["rate"] == 16_000
    assert len(samples) == -(-count * 16_000 // rate)
    assert np.array_equal(samples[: len(expected)], expected)
    assert not samples[len(expected) :].any()


def test_a_sound_may_be_as_long_as_the_model_hears_and_no_longer() -> None:
    header = {"max_seconds": 600, "heard_by": "qwen2-audio"}
    _, samples = sound_job(header, file(np.zeros(30 * RATE, np.float32)))
    assert len(samples) == 30 * 16_000
    longer = file(np.zeros(30 * RATE + RATE // 20, np.float32))
    assert len(sound_job({"max_seconds": 600}, longer)[1]) == 30 * RATE + RATE // 20
    with pytest.raises(MediaRefusedError, match=r"30\.05 s .* Qwen2-Audio hears at most 30 s"):
        sound_job(header, longer)
