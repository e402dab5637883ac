"""Windows, seeking, context, the temperature ladder, and the pieces of the other way."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sensorium.serving.speech.chunks import plan
from sensorium.serving.speech.features import RATE, Samples
from sensorium.serving.speech.loudness import steady
from sensorium.serving.speech.recording import Recording
from sensorium.serving.speech.segments import Segment
from sensorium.serving.speech.sequential import Wanted
from sensorium.serving.speech.transcriber import Transcriber
from sensorium.serving.speech.whisper import Whisper
from sensorium.serving.speech.window import Task, Window, Written
from tests.kit.scripted_speech import Line, ScriptedSpeech, tiny_facts


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Whisper:
    return tiny_facts(tmp_path_factory.mktemp("tiny"))


def sound(seconds: float, pauses: tuple[float, ...] = ()) -> Samples:
    """A beating tone with half a second of silence around each of `pauses`."""
    time = np.arange(int(seconds * RATE)) / RATE
    samples = 9000 * np.sin(2 * np.pi * 300 * time) * (1.2 + np.sin(2 * np.pi * 3 * time))
    for pause in pauses:
        samples[np.abs(time - pause) < 0.25] = 0
    return samples.astype(np.int16)


async def write(
    speech: ScriptedSpeech, samples: Samples, wanted: Wanted, sequential: bool = True
) -> list[Segment]:
    transcriber = Transcriber(speech, speech.whisper)
    pieces = transcriber.write(Recording(samples), wanted, sequential)
    return [segment async for found in pieces for segment in found]


def times(segments: list[Segment]) -> list[tuple[float, float, str]]:
    return [(round(s.start, 2), round(s.end, 2), s.text) for s in segments]


EN = Task(language="en")


async def test_the_next_window_begins_where_the_last_segment_was_closed(whisper: Whisper) -> None:
    lines: dict[int, Line] = {
        0: (0.0, " one", 10.0, 10.0, " two", 24.0, 24.0, " thr"),
        2400: (0.0, " three", 5.0, 5.0, " four", 9.0),
    }
    speech = ScriptedSpeech(whisper, lambda window, _: lines[window.seek])
    segments = await write(speech, sound(40), Wanted(EN))
    assert times(segments) == [
        (0, 10, " one"),
        (10, 24, " two"),
        (24, 29, " three"),
        (29, 33, " four"),
    ]
    assert [asked.frames for asked in speech.asked] == [3000, 1600]


async def test_an_unclosed_segment_is_kept_and_ends_with_the_recording(whisper: Whisper) -> None:
    speech = ScriptedSpeech(whisper, lambda *_: (0.0, " all of it"))
    assert times(await write(speech, sound(7), Wanted(EN))) == [(0, 7, " all of it")]


async def test_no_time_is_after_the_end(whisper: Whisper) -> None:
    speech = ScriptedSpeech(whisper, lambda *_: (0.0, " late", 29.0))
    assert times(await write(speech, sound(7), Wanted(EN))) == [(0, 7, " late")]


async def test_a_window_that_gets_nowhere_is_left(whisper: Whisper) -> None:
    speech = ScriptedSpeech(whisper, lambda *_: (0.0, " x", 0.0, 0.0, " y"))
    await write(speech, sound(40), Wanted(EN))
    assert [asked.seek for asked in speech.asked] == [0, 3000]


@pytest.mark.parametrize("context", [True, False])
async def test_the_text_before_is_the_context(whisper: Whisper, context: bool) -> None:
    speech = ScriptedSpeech(whisper, lambda *_: (0.0, " said", 30.0))
    prompt = tuple(whisper.vocabulary.encode(" Ada"))
    await write(speech, sound(70), Wanted(EN, prompt, context))
    said = [asked.before for asked in speech.asked]
    assert said == ([" Ada", " Ada said", " Ada said said"] if context else [" Ada", "", ""])


async def test_a_wild_text_is_no_context(whisper: Whisper) -> None:
    def script(window: Window, temperature: float) -> Line | Written:
        written = speech.written((0.0, " said", 30.0), temperature)
        return replace(written, average=-0.2 if temperature > 0.5 else -3.0)

    speech = ScriptedSpeech(whisper, script)
    await write(speech, sound(40), Wanted(EN))
    assert [asked.temperature for asked in speech.asked] == [0, 0.2, 0.4, 0.6] * 2
    assert speech.asked[-1].before == ""


async def test_a_text_that_repeats_itself_is_written_again(whisper: Whisper) -> None:
    speech = ScriptedSpeech(
        whisper, lambda _, t: (0.0, " no" * 60 if t < 0.4 else " yes, I know him well", 5.0)
    )
    (segment,) = await write(speech, sound(5), Wanted(EN))
    assert (segment.text, segment.written.temperature) == (" yes, I know him well", 0.4)


async def test_where_every_text_is_doubtful_the_surest_is_taken(whisper: Whisper) -> None:
    averages = dict(zip((0.0, 0.2, 0.4, 0.6, 0.8, 1.0), (-2, -1.5, -3, -4, -5, -6), strict=True))

    def script(window: Window, temperature: float) -> Written:
        written = speech.written((0.0, f" {temperature}", 5.0), temperature)
        return replace(written, average=float(averages[temperature]))

    speech = ScriptedSpeech(whisper, script)
    (segment,) = await write(speech, sound(5), Wanted(EN))
    assert segment.text == " 0.2"


@pytest.mark.parametrize(("average", "taken"), [(-1.2, "vague"), (-3.0, "again")])
async def test_nonsense_is_not_preferred_to_a_text_that_repeats_itself(
    whisper: Whisper, average: float, taken: str
) -> None:
    def script(window: Window, temperature: float) -> Written:
        if temperature < 1:
            return speech.written((0.0, " he said it again" * 6, 5.0), temperature)
        return replace(speech.written((0.0, " vague", 5.0), temperature), average=average)

    speech = ScriptedSpeech(whisper, script)
    (segment,) = await write(speech, sound(5), Wanted(EN))
    assert taken in segment.text


async def test_what_the_model_takes_for_silence_is_left_out(whisper: Whisper) -> None:
    def script(window: Window, temperature: float) -> Written:
        return replace(speech.written((0.0, " you", 2.0)), average=-1.2, no_speech=0.9)

    speech = ScriptedSpeech(whisper, script)
    assert await write(speech, sound(5), Wanted(EN)) == []
    assert len(speech.asked) == 1


async def test_a_language_once_found_is_kept(whisper: Whisper) -> None:
    def script(window: Window, temperature: float) -> Written:
        return speech.written((0.0, " ja", 30.0), language="de")

    speech = ScriptedSpeech(whisper, script)
    await write(speech, sound(70), Wanted(Task()))
    assert [asked.language for asked in speech.asked] == [None, "de", "de"]


async def test_pieces_end_in_pauses_and_nothing_is_lost_or_doubled(whisper: Whisper) -> None:
    pauses = (27.0, 52.0, 77.0, 101.0)
    samples = sound(110, pauses)
    speech = ScriptedSpeech(
        whisper, lambda window, _: (0.0, f" piece {window.seek}", window.frames / 100)
    )
    segments = await write(speech, samples, Wanted(EN), sequential=False)
    ends = [segment.end for segment in segments]
    assert ends == pytest.approx([*pauses, 110], abs=0.15)
    assert [segment.start for segment in segments[1:]] == pytest.approx(ends[:-1])


async def test_a_piece_is_written_at_once_though_its_last_segment_is_not_closed(
    whisper: Whisper,
) -> None:
    lines: dict[int, Line] = {
        0: (0.0, " one", 10.0, 10.0, " two"),
        27: (0.0, " three", 15.0, 15.0),
        42: (0.0, " four", 5.8, 5.8),
        48: (0.0, " five", 4.0),
    }
    speech = ScriptedSpeech(whisper, lambda window, _: lines[round(window.seek / 100)])
    segments = await write(speech, sound(60, (27.0, 48.0)), Wanted(EN), sequential=False)
    assert "".join(segment.text for segment in segments) == " one two three four five"
    starts, ends = zip(*[(segment.start, segment.end) for segment in segments], strict=True)
    assert starts == pytest.approx([0, 10, 27, 42, 48], abs=0.15)
    assert ends == pytest.approx([10, 27, 42, 47.7, 52], abs=0.15)
    assert sorted(round(asked.seek / 100) for asked in speech.asked) == [0, 27, 42, 48]


async def test_repeated_words_are_joined_where_they_were_said(whisper: Whisper) -> None:
    words = [f" {word}" for word in ("so it goes on and " * 18).split()]  # ninety, one a second

    def script(window: Window, temperature: float) -> Line:
        first = window.seek // 100
        said = words[first : min(90, first + window.frames // 100)]
        return (0.0, "".join(said), window.frames / 100)

    speech = ScriptedSpeech(whisper, script)
    segments = await write(speech, sound(90), Wanted(EN), sequential=False)
    assert "".join(segment.text for segment in segments) == "".join(words)


async def test_a_piece_whose_text_is_too_long_is_gone_on_with(whisper: Whisper) -> None:
    def script(window: Window, temperature: float) -> Written:
        if window.seek:
            return speech.written((0.0, " two", 15.0))
        return replace(speech.written((0.0, " one", 10.0, 10.0, " tw")), finished=False)

    speech = ScriptedSpeech(whisper, script)
    segments = await write(speech, sound(25), Wanted(EN), sequential=False)
    assert times(segments) == [(0.0, 10.0, " one"), (10.0, 25.0, " two")]


async def test_speech_without_a_pause_is_joined_at_the_words_both_pieces_have(
    whisper: Whisper,
) -> None:
    words = [f" w{number:02}" for number in range(70)]  # a word a second

    def script(window: Window, temperature: float) -> Line:
        first = window.seek // 100
        last = min(70, first + window.frames // 100)
        # The first and the last word of a piece are cut in two, and heard wrongly.
        heard = [" uh", *words[first + 1 : last - 1], " eh"] if first else words[: last - 1]
        return (0.0, "".join([*heard, *([] if last == 70 else [" ah"])]), window.frames / 100)

    speech = ScriptedSpeech(whisper, script)
    segments = await write(speech, sound(70), Wanted(EN), sequential=False)
    text = "".join(segment.text for segment in segments)
    assert text.split()[:68] == [word.strip() for word in words[:68]]
    assert all(a.end <= b.start + 0.01 for a, b in pairwise(segments))


def test_a_plan_covers_the_recording() -> None:
    samples = sound(200, (21, 45.5, 74))
    pieces = plan(samples)
    assert (pieces[0].first, pieces[-1].end) == (0, 20_000)
    assert all(piece.end - piece.first <= 3000 for piece in pieces)
    for piece, following in pairwise(pieces):
        expected = piece.end - 400 if following.overlap else piece.end
        assert following.first == expected


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.zeros(16000, np.int16), True),
        (np.zeros(100, np.int16), True),
        ((np.random.default_rng(0).standard_normal(160_000) * 800).astype(np.int16), True),
        (sound(10)[:160], False),
        (sound(10, (5.0,)), False),
    ],
    ids=["silence", "shortest", "noise", "short", "speech"],
)
def test_steady_sound_is_no_speech(samples: Samples, expected: bool) -> None:
    assert steady(samples, 0, len(samples) // 160) is expected


def test_the_prompt_is_cut_to_half_the_context(tmp_path: Path) -> None:
    whisper = tiny_facts(tmp_path)
    prompt = whisper.prompt(list(range(200)) * 3)
    assert len(prompt) == 1 + 223 + 1
    assert prompt[0] == whisper.vocabulary.previous
    assert prompt[-1] == whisper.vocabulary.start
    assert whisper.prompt([]) == [whisper.vocabulary.start]
