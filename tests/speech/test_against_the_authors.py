"""Our transcripts beside those of openai-whisper and faster-whisper, from the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.kit.speech import Clip, composed, wav, word_error_rate, word_errors
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
    model = faster.WhisperModel(str(write_ctranslate2(folder, tmp_path)), compute_type="float32")
    for clip in clips:
        samples = soundfile.read(clip.path, dtype="int16")[0]
        segments, _ = model.transcribe(floats(samples), language="en", beam_size=1)
        text = "".join(segment.text for segment in segments).strip()
        assert ours(client, samples, language="en").text == text


def write_ctranslate2(folder: Path, target: Path) -> Path:
    """The same weights in CTranslate2's layout, as faster-whisper reads it."""
    import json
    import shutil

    from safetensors.numpy import load_file

    from sensorium.model_adapters.whisper.layouts import inspect_whisper
    from tests.kit.ct2_files import model_bytes, whisper_file

    found = inspect_whisper(folder)
    assert found is not None
    weights = load_file(folder / "model.safetensors")
    single = {name: values.astype(np.float32) for name, values in weights.items()}
    (target / "model.bin").write_bytes(model_bytes(whisper_file(found.dimensions, single)))
    generation = json.loads((folder / "generation_config.json").read_text())
    config = {
        "suppress_ids": generation["suppress_tokens"],
        "suppress_ids_begin": generation["begin_suppress_tokens"],
        "alignment_heads": generation["alignment_heads"],
        "lang_ids": sorted(generation["lang_to_id"].values()),
    }
    (target / "config.json").write_text(json.dumps(config))
    shutil.copy(folder / "tokenizer.json", target)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    words = {number: word for word, number in tokenizer["model"]["vocab"].items()}
    words |= {token["id"]: token["content"] for token in tokenizer["added_tokens"]}
    (target / "vocabulary.json").write_text(json.dumps([words[number] for number in sorted(words)]))
    return target


@pytest.mark.parametrize("seconds", [75, 600])
def test_nothing_is_lost_in_either_way(client: Any, clips: list[Clip], seconds: int) -> None:
    samples, order = composed(clips, seconds, seed=2)
    wanted = " ".join(clip.text for clip in order)
    rates = {}
    for way in ("auto", "sequential"):
        got = ours(client, samples, language="en", way=way)
        rates[way] = word_error_rate([(wanted, got.text)])
        times = [time for segment in got.segments for time in (segment.start, segment.end)]
        assert times == sorted(times)
        assert times[-1] <= len(samples) / 16000 + 1e-6
        position = 0
        text = " ".join(got.text.split())
        for clip in order if way == "auto" else ():
            # Each clip's last words, in order.
            tail = clip.text.split()[-1].strip(".,").lower()
            position = text.lower().find(tail, position)
            assert position >= 0, (clip.text, text)
    print(f"word error rates of {seconds} s: {rates}")
    assert rates["auto"] <= rates["sequential"] + 0.005
    assert rates["auto"] < 0.03


def test_pieces_without_pauses_are_joined_without_a_seam(client: Any, clips: list[Clip]) -> None:
    samples, order = composed(clips, 100, seed=3, gap=(0.0, 0.02))
    got = ours(client, samples, language="en", way="auto")
    wanted = " ".join(clip.text for clip in order)
    assert word_errors(wanted, got.text) <= 0.03 * len(wanted.split()), got.text
