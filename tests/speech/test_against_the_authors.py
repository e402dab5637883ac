"""Our transcripts beside those of openai-whisper and faster-whisper, from the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import soundfile

from sensorium.benchmarks.speech.errors import word_errors
from sensorium.benchmarks.speech.recognisers import write_ctranslate2
from sensorium.benchmarks.speech.recordings import Clip, composed, wav
from tests.speech.conftest import floats


def ours(client: Any, samples: Any, **fields: Any) -> Any:
    model = "base" if "timestamp_granularities" in fields else "original"
    extra = {"chunking_strategy": fields.pop("way", "sequential")}
    return client.audio.transcriptions.create(
        model=model,
        file=("sound.wav", wav(samples)),
        response_format="verbose_json",
        extra_body=extra,
        **fields,
    )


def spoken(segments: list[Any]) -> list[Any]:
    return [segment for segment in segments if segment["text"]]


def sounds(clips: list[Clip]) -> dict[str, Any]:
    found = {clip.path.stem[-4:]: soundfile.read(clip.path, dtype="int16")[0] for clip in clips}
    found["75 s"] = composed(clips, 75, seed=1)[0]
    return found


@pytest.mark.parametrize("name", ["0870", "0880", "0890", "0920", "0930", "75 s"])
@pytest.mark.parametrize("language", ["en", None])
def test_segments_are_the_authors(
    client: Any, authors: Any, clips: list[Clip], name: str, language: str | None
) -> None:
    samples = sounds(clips)[name]
    wanted = authors.transcribe(floats(samples), language=language, fp16=False)
    fields = {"language": language} if language else {}
    got = ours(client, samples, **fields)
    theirs = spoken(wanted["segments"])
    assert all(segment["temperature"] == 0 for segment in theirs), "chance decides; another seed"
    assert [segment.tokens for segment in got.segments] == [each["tokens"] for each in theirs]
    end = len(samples) / 16000
    for mine, their in zip(got.segments, theirs, strict=True):
        assert mine.start == pytest.approx(min(their["start"], end), abs=0.02)
        assert mine.end == pytest.approx(min(their["end"], end), abs=0.02)
        assert mine.avg_logprob == pytest.approx(their["avg_logprob"], abs=1e-3)
        assert mine.no_speech_prob == pytest.approx(their["no_speech_prob"], rel=0.01, abs=1e-4)
        assert mine.compression_ratio == pytest.approx(their["compression_ratio"])


@pytest.mark.parametrize("name", ["0870", "0920", "75 s"])
def test_words_have_the_authors_times(
    client: Any, authors: Any, clips: list[Clip], name: str
) -> None:
    samples = sounds(clips)[name]
    wanted = authors.transcribe(floats(samples), language="en", fp16=False, word_timestamps=True)
    got = ours(client, samples, language="en", timestamp_granularities=["word", "segment"])
    theirs = [word for segment in wanted["segments"] for word in segment["words"]]
    assert [word.word for word in got.words] == [word["word"].strip() for word in theirs]
    for mine, their in zip(got.words, theirs, strict=True):
        assert mine.start == pytest.approx(their["start"], abs=0.04)
        assert mine.end == pytest.approx(their["end"], abs=0.04)


def test_a_prompt_does_what_the_authors_prompt_does(
    client: Any, authors: Any, clips: list[Clip]
) -> None:
    samples = sounds(clips)["0870"]
    prompt = "Jon Dashwoode, of Norland."
    wanted = authors.transcribe(floats(samples), language="en", fp16=False, initial_prompt=prompt)
    assert ours(client, samples, language="en", prompt=prompt).text == wanted["text"].strip()


def test_the_text_is_faster_whisper_s(
    client: Any, folder: Path, clips: list[Clip], tmp_path: Path
) -> None:
    faster = pytest.importorskip("faster_whisper", reason="faster-whisper is not installed")
    model = faster.WhisperModel(
        str(write_ctranslate2(folder, tmp_path / "ct2")), compute_type="float32"
    )
    for clip in clips:
        samples = soundfile.read(clip.path, dtype="int16")[0]
        segments, _ = model.transcribe(floats(samples), language="en", beam_size=1)
        text = "".join(segment.text for segment in segments).strip()
        assert ours(client, samples, language="en").text == text


def test_pieces_without_pauses_are_joined_without_a_seam(client: Any, clips: list[Clip]) -> None:
    samples, order = composed(clips, 100, seed=3, gap=(0.0, 0.02))
    got = ours(client, samples, language="en", way="auto")
    wanted = " ".join(clip.text for clip in order)
    assert word_errors(wanted, got.text) <= 0.03 * len(wanted.split()), got.text
