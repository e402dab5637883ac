"""The speech benchmark: errors, composed recordings, and what is counted."""

from __future__ import annotations

import numpy as np
import pytest

from sensorium.benchmarks.speech.command import Sound, main, measure
from sensorium.benchmarks.speech.errors import (
    lost_clips,
    word_error_rate,
    word_errors,
    words,
)
from sensorium.benchmarks.speech.recordings import Clip, composed, librivox_clips, wav


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


SAID = ("a quick brown fox", "jumps over the dog", "a quick brown fox", "and sleeps")


@pytest.mark.parametrize(
    ("answer", "lost"),
    [
        ("A quick, brown fox jumps over the dog. A quick brown fox and sleeps", []),
        ("a quack brown fox jumps over a dog a quick fox and sleeps", []),
        ("a quick brown fox jumps over the dog and sleeps", [2]),
        ("jumps over the dog a quick brown fox and sleeps", [0]),
        ("a quick brown fox a quick brown fox and sleeps jumps over the dog", [1]),
        ("", [0, 1, 2, 3]),
    ],
)
def test_lost_clips_are_those_missing_from_their_place(answer: str, lost: list[int]) -> None:
    assert lost_clips(SAID, answer) == lost


class Forgetful:
    """Writes what it is told for each file; a second of CPU time for each."""

    def __init__(self, texts: dict[bytes, str]) -> None:
        self.texts = texts
        self.asked: list[tuple[bytes, str]] = []

    def write(self, sound: bytes, way: str) -> str:
        self.asked.append((sound, way))
        return self.texts[sound]

    def cpu_seconds(self) -> float:
        return float(len(self.asked))

    def stop(self) -> None:
        raise AssertionError("whoever measures does not end it")


def test_a_load_is_counted() -> None:
    sounds = [Sound(b"1", ("a b", "c d"), 4.0), Sound(b"2", ("e f",), 6.0)]
    recogniser = Forgetful({b"1": "a b", b"2": "e g f"})
    found = measure(recogniser, sounds, 2, name="ours", way="auto", load="two")
    assert sorted(recogniser.asked) == [(b"1", "auto"), (b"2", "auto")]
    assert (found.requests, found.sound_seconds, found.cpu) == (2, 10.0, 2.0)
    assert (found.clips, found.lost) == (3, 1)
    assert found.word_error_rate == pytest.approx(3 / 6)
    assert found.row()[:5] == ("ours auto", "two", "50.00 %", "1 of 3", "0.2000")


@pytest.mark.parametrize("option", ["--minutes", "--requests", "--threads"])
def test_nothing_cannot_be_measured(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([option, "0"])
    assert "must be above 0" in capsys.readouterr().err


@pytest.fixture
def clips() -> list[Clip]:
    found = librivox_clips()
    if not found:
        pytest.skip("Debian's package pocketsphinx-testdata is not installed")
    return found


def test_the_librivox_transcripts_have_70_words(clips: list[Clip]) -> None:
    assert [clip.path.is_file() for clip in clips] == [True] * 5
    assert sum(len(words(clip.text)) for clip in clips) == 70


def test_a_composed_recording_holds_its_clips_in_order(clips: list[Clip]) -> None:
    import io

    import soundfile

    samples, order = composed(clips, 30, seed=1, gap=(0.5, 0.5))
    assert len(samples) >= 30 * 16_000
    again, _ = composed(clips, 30, seed=1, gap=(0.5, 0.5))
    assert np.array_equal(samples, again)
    at = 0
    for clip in order:
        sound = soundfile.read(clip.path, dtype="int16")[0]
        assert np.array_equal(samples[at : at + len(sound)], sound)
        at += len(sound) + 8000
    read = soundfile.read(io.BytesIO(wav(samples, kind="FLAC")), dtype="int16")[0]
    assert np.array_equal(read, samples)
