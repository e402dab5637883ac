"""Files of all kinds to 16 kHz samples, and what is refused."""

from __future__ import annotations

import errno
import io
import tempfile
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from sensorium.serving.media.recording_work import NO_ROOM, recording_job
from sensorium.serving.media.work import MediaRefusedError

TONE = 0.25 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)


def read(data: bytes, channel: int | None = None, seconds: float = 14_400.0) -> NDArray[np.int16]:
    header = {"seconds": seconds, "channels": 32, "rates": [1_000, 768_000], "channel": channel}
    _, file = recording_job(header, data)
    with file:
        file.seek(0)
        return np.frombuffer(file.read(), np.int16)


def written(
    sound: NDArray[np.generic], rate: int = 16000, kind: str = "WAV", subtype: str | None = None
) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, sound, rate, format=kind, subtype=subtype)
    return out.getvalue()


def video(*, sound: bool) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as file:
        pictures = file.add_stream("mpeg4", rate=5)
        pictures.width = pictures.height = 32
        track = file.add_stream("aac", rate=16000, layout="mono") if sound else None
        for _ in range(5):
            picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))
            file.mux(pictures.encode(picture))
        file.mux(pictures.encode(None))
        if track is not None:
            frame = av.AudioFrame.from_ndarray(
                TONE[None].astype(np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate = 16000
            file.mux(track.encode(frame))
            file.mux(track.encode(None))
    return out.getvalue()


def test_16_khz_mono_is_taken_as_it_is() -> None:
    samples = read(written(TONE))
    assert np.array_equal(samples, soundfile.read(io.BytesIO(written(TONE)), dtype="int16")[0])


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000, 192000])
def test_any_rate_keeps_length_and_pitch(rate: int) -> None:
    tone = 0.25 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    samples = read(written(tone, rate))
    assert len(samples) == pytest.approx(16000, abs=20)
    assert np.abs(np.fft.rfft(samples)).argmax() == pytest.approx(440, abs=1)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_any_sample_format(subtype: str) -> None:
    samples = read(written(TONE, subtype=subtype))
    assert np.abs(samples - 32768 * TONE).max() < (300 if subtype == "PCM_U8" else 2)


@pytest.mark.parametrize("channels", [2, 3, 6, 8])
def test_channels_are_mixed_or_chosen(channels: int) -> None:
    sound = np.zeros((16000, channels))
    sound[:, 1] = TONE
    mixed, first, second = (read(written(sound), channel) for channel in (None, 0, 1))
    assert np.abs(mixed - 32768 * TONE / channels).max() < 3
    assert not first.any()
    assert np.abs(second - 32768 * TONE).max() < 2


@pytest.mark.parametrize(("kind", "subtype"), [("FLAC", None), ("OGG", "VORBIS"), ("MP3", None)])
def test_other_formats_and_a_wrong_name_do_not_matter(kind: str, subtype: str | None) -> None:
    samples = read(written(TONE, kind=kind, subtype=subtype))
    assert len(samples) / 16000 == pytest.approx(1, abs=0.1)


def test_the_sound_of_a_video() -> None:
    assert len(read(video(sound=True))) / 16000 == pytest.approx(1, abs=0.1)


def test_one_sample() -> None:
    assert len(read(written(TONE[:1]))) == 1


def test_what_was_cut_off_is_read_as_far_as_it_goes() -> None:
    assert len(read(written(TONE)[:16044])) / 16000 == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"RIFF\x00\r\n\xff", "not a sound or video file"),
        (b"text " * 100, "not a sound or video file"),
        (written(TONE[:0]), "no sound in it"),
        (video(sound=False), "only video"),
        (b"#EXTM3U\n#EXTINF:10,\nfile:///etc/hostname\n", "not a sound or video file"),
        (b"ffconcat version 1.0\nfile /etc/hostname\n", "not a sound or video file"),
        (written(np.stack([TONE] * 40, 1)), "40 channels"),
        (written(TONE, 100), "100 samples a second"),
        (written(np.where(np.arange(16000) == 7, np.nan, TONE), subtype="FLOAT"), "not numbers"),
    ],
    ids=["empty", "head", "text", "none", "video", "m3u", "concat", "channels", "rate", "nan"],
)
def test_what_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(MediaRefusedError, match=words) as caught:
        read(data)
    assert caught.value.about == "file"


def test_an_hour_of_silence_in_few_bytes_is_refused_from_its_head() -> None:
    data = written(np.zeros(16000 * 600), kind="FLAC")
    assert len(data) < 50_000
    with pytest.raises(MediaRefusedError, match="600 s"):
        read(data, seconds=599)


def test_six_hours_are_over_the_default_limit() -> None:
    data = written(np.zeros(1_000 * 6 * 3600, np.int16), rate=1_000, kind="FLAC")
    with pytest.raises(MediaRefusedError, match=r"21600 s of sound.*14400 s"):
        read(data)


def test_a_length_that_the_head_hides_is_found_while_decoding() -> None:
    data = bytearray(written(TONE, kind="OGG", subtype="VORBIS"))
    pages = [at for at in range(len(data) - 4) if data[at : at + 4] == b"OggS"]
    assert pages
    with pytest.raises(MediaRefusedError, match="of sound"):
        read(bytes(data), seconds=0.3)


def test_a_channel_that_is_not_there() -> None:
    with pytest.raises(MediaRefusedError, match="the file has 1") as caught:
        read(written(TONE), 1)
    assert caught.value.about == "channel"


def test_a_full_disk_is_no_fault_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda prefix: Full())
    with pytest.raises(MediaRefusedError, match="no room") as caught:
        read(written(TONE))
    assert caught.value.about == NO_ROOM
