import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.kit.speech import (
    Encoding,
    encode,
    librivox_clips,
    silence,
    vorbis,
    word_error_rate,
    word_errors,
    words,
)


@pytest.mark.parametrize(
    ("reference", "answer", "errors"),
    [
        ("a b c", "a b c", 0),
        ("a b c", " A, b -- C!", 0),
        ("mister dash wood", "Mr. Dash-wood", 0),
        ("a b c", "", 3),
        ("a b c", "a x c", 1),
        ("a b c", "a c", 1),
        ("a b c", "a b b c d", 2),
        ("a b c d", "b c d a", 2),
    ],
)
def test_word_errors(reference: str, answer: str, errors: int) -> None:
    assert word_errors(reference, answer) == errors


def test_word_error_rate_weighs_by_length() -> None:
    assert word_error_rate([("a b c", "a b c"), ("d", "e")]) == 0.25


def test_the_librivox_transcripts_have_70_words() -> None:
    clips = librivox_clips()
    if not clips:
        pytest.skip("Debian's package pocketsphinx-testdata is not installed")
    assert [clip.path.is_file() for clip in clips] == [True] * 5
    assert sum(len(words(clip.text)) for clip in clips) == 70


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
