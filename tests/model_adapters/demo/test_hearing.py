"""Sounds, voices and their features."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from sensorium.model_adapters.demo import voices
from sensorium.model_adapters.demo.questions_sounds import ask_about_sound, ask_about_speech
from sensorium.model_adapters.demo.signals import RATE, audio_tokens, mel_filters, record, resample
from sensorium.model_adapters.demo.sounds import random_sound


def loudest_hertz(signal: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float:
    spectrum = np.abs(np.fft.rfft(signal))
    return float(spectrum.argmax() * RATE / len(signal))


def bursts(signal: np.ndarray[tuple[int], np.dtype[np.float32]]) -> int:
    """How often the loudness rises above a tenth of its peak."""
    window = RATE // 100
    loud = np.convolve(np.abs(signal), np.ones(window) / window, "same")
    above = loud > loud.max() * 0.3
    return int((above[1:] & ~above[:-1]).sum())


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_beeps_can_be_counted(count: int) -> None:
    sound = random_sound(random.Random(count), "beeps", count)
    assert bursts(sound.signal) == count
    asked = {q.kind: q.answer for q in ask_about_sound(random.Random(0), sound)}
    assert asked["s_count"] == f"{count}."
    assert asked["s_what"].startswith(("One", "Two", "Three", "Four", "Five", "Six")[count - 1])


def test_pitch_is_true() -> None:
    for seed in range(20):
        sound = random_sound(random.Random(seed), "tone")
        assert (loudest_hertz(sound.signal) > 1000) == (sound.pitch == "high")


def test_same_seed_same_sound() -> None:
    first, second = (random_sound(random.Random(4)).signal for _ in range(2))
    assert np.array_equal(first, second)


def test_resampling_keeps_the_pitch() -> None:
    time = np.arange(22050) / 22050
    tone = np.sin(2 * np.pi * 440 * time).astype(np.float32)
    heard = resample(tone, 22050, RATE)
    assert len(heard) == RATE
    assert loudest_hertz(heard) == pytest.approx(440, abs=2)
    assert float(np.abs(heard).max()) == pytest.approx(1, abs=0.02)


def test_recording_stays_in_range() -> None:
    tone = np.sin(np.arange(RATE) / 10).astype(np.float32)
    for seed in range(10):
        heard = record(random.Random(seed), tone)
        assert heard.dtype == np.float32
        assert float(np.abs(heard).max()) <= 1


@pytest.mark.parametrize(("frames", "tokens"), [(1, 1), (8, 1), (9, 2), (100, 13), (250, 33)])
def test_audio_tokens(frames: int, tokens: int) -> None:
    assert audio_tokens(frames) == tokens


def test_mel_filters_cover_the_band() -> None:
    filters = mel_filters()
    assert filters.shape == (201, 64)
    assert (filters.sum(0) > 0).all()
    assert filters[0].sum() == 0


def test_questions_about_speech() -> None:
    asked = ask_about_speech(random.Random(2), "digits", "seven two")
    assert asked[0].kind == "transcribe_digits"
    assert asked[0].answer == "Seven two."
    assert ("a_count", "2.") in {(q.kind, q.answer) for q in asked}


def test_held_out_voices_are_not_trained() -> None:
    assert not set(voices.VARIANTS) & set(voices.HELD_OUT_VARIANTS)
    assert not set(voices.FLITE) & set(voices.HELD_OUT_FLITE)


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(voices.VoiceMissingError, match="apt-get install espeak-ng"):
        voices.speak_many(1, 1, 0)


def test_utterances_survive_a_file(tmp_path: Path) -> None:
    samples = np.arange(50, dtype=np.int16)
    pool = [
        voices.Utterance("command", "stop", "espeak-ng:en-us", samples),
        voices.Utterance("digits", "one two", "flite:slt", samples[:20]),
    ]
    voices.save_pool(tmp_path / "pool.npz", pool)
    for kept, said in zip(voices.load_pool(tmp_path / "pool.npz"), pool, strict=True):
        assert (kept.kind, kept.words, kept.voice) == (said.kind, said.words, said.voice)
        assert np.array_equal(kept.samples, said.samples)


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
def test_flite_speaks() -> None:
    signal = voices.speak_with_flite("seven", "slt", 1.0, None)
    assert 0.2 < len(signal) / RATE < 2
    assert float(np.abs(signal).max()) == pytest.approx(0.7, abs=0.01)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_espeak_says_the_same_for_the_same_seed() -> None:
    first, second = (voices.speak_many(6, 3, 0, workers=w) for w in (1, 2))
    assert [u.words for u in first] == [u.words for u in second]
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(first, second, strict=True))
