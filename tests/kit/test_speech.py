import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.kit.speech import Encoding, encode, silence, vorbis


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    path = tmp_path / "tone.wav"
    samples = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 16000)
    soundfile.write(path, samples, 16000)
    return path


@pytest.mark.parametrize(
    "encoding",
    [
        Encoding("wav", "pcm_s16le", 8000),
        Encoding("wav", "pcm_f32le", 48000, "stereo"),
        Encoding("mp3", "libmp3lame", 44100, "stereo"),
        Encoding("flac", "flac", 44100, "stereo"),
        Encoding("ogg", "libopus", 48000),
    ],
    ids=str,
)
def test_encode_keeps_the_tone(tone: Path, encoding: Encoding) -> None:
    samples, rate = soundfile.read(io.BytesIO(encode(tone, encoding)), always_2d=True)
    assert rate == encoding.rate
    assert samples.shape[1] == {"mono": 1, "stereo": 2}[encoding.layout]
    assert len(samples) == pytest.approx(rate / 2, rel=0.12)
    spectrum = np.abs(np.fft.rfft(samples[:, 0]))
    assert spectrum.argmax() * rate / len(samples) == pytest.approx(440, abs=4)


def test_m4a_and_vorbis_have_their_marks(tone: Path) -> None:
    m4a = encode(tone, Encoding("m4a", "aac", 44100, "stereo", container="ipod"))
    assert m4a[4:8] == b"ftyp"
    assert vorbis(tone)[:4] == b"OggS"


def test_silence() -> None:
    samples, rate = soundfile.read(io.BytesIO(silence(0.5)))
    assert (rate, len(samples), np.abs(samples).max()) == (16000, 8000, 0)
