"""What is left out of a recording before pieces are made of it, and where times then are."""

from __future__ import annotations

import numpy as np
import pytest

from sensorium.serving.speech.features import RATE
from sensorium.serving.speech.pauses import shorten
from sensorium.serving.speech.segments import Segment, TimedWord
from sensorium.serving.speech.window import Written

RANDOM = np.random.default_rng(0)
NOBODY = Written([], [], 0.0, 0.0, "en", 0.0, 0)


def speech(seconds: float, loudness: float = 9000) -> np.ndarray:
    """A beating tone, which is never steady."""
    time = np.arange(int(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * 300 * time) * (1.2 + np.sin(2 * np.pi * 3 * time))
    return (loudness * tone).astype(np.int16)


def noise(seconds: float, loudness: float) -> np.ndarray:
    return (loudness * RANDOM.standard_normal(int(seconds * RATE))).astype(np.int16)


def segment(start: float, end: float) -> Segment:
    words = [TimedWord(" a", start, end, 1.0, (5,))]
    return Segment(round(100 * start), start, end, " a", [5], [0.0], NOBODY, words)


@pytest.mark.parametrize("loudness", [0, 20, 200])
def test_long_pauses_become_short_and_times_are_put_back(loudness: float) -> None:
    parts = [speech(5), noise(3, loudness), speech(4), noise(10, loudness), speech(6)]
    samples = np.concatenate(parts)
    short = shorten(samples)
    assert len(short) / RATE == pytest.approx(5 + 4 + 6 + 2 * 0.6, abs=0.4)
    heard = segment(5.6, 9.6)
    short.put_back(heard)
    assert (heard.start, heard.end) == pytest.approx((8, 12), abs=0.2)
    assert (heard.words[0].start, heard.words[0].end) == (heard.start, heard.end)
    assert heard.seek == round(100 * heard.start)
    last = segment(10.2, len(short) / RATE)
    short.put_back(last)
    assert (last.start, last.end) == pytest.approx((22, 28), abs=0.2)
    assert last.end <= len(samples) / RATE


def test_slices_are_the_samples_that_are_left() -> None:
    samples = np.concatenate([speech(2), noise(3, 0), speech(2), noise(4, 0), speech(1)])
    short = shorten(samples)
    whole = short[0 : len(short)]
    assert len(whole) == len(short) < len(samples)
    assert np.array_equal(whole[whole != 0], samples[samples != 0])
    for first, end in ((0, 10), (30_000, 60_001), (40_000, len(short) + 99), (9, 9)):
        assert np.array_equal(short[first:end], whole[first:end])


@pytest.mark.parametrize(
    "middle",
    [speech(5, 200), noise(0.8, 0), noise(5, 9000)],
    ids=["somebody far away", "a short pause", "loud noise"],
)
def test_what_may_be_speech_is_kept(middle: np.ndarray) -> None:
    samples = np.concatenate([speech(5), middle, speech(5)])
    assert np.array_equal(shorten(samples)[0 : len(samples)], samples)


@pytest.mark.parametrize("samples", [noise(0, 0), noise(0.001, 50), noise(30, 0), noise(30, 500)])
def test_a_recording_without_speech_is_left_as_it_is(samples: np.ndarray) -> None:
    short = shorten(samples)
    assert len(short) == len(samples) // 160 * 160
    silence = segment(0.0, len(samples) / RATE)
    short.put_back(silence)
    assert (silence.start, silence.end) == (0.0, len(samples) / RATE)
