"""Transcription through a real engine: a tiny model that is always there, and Whisper base."""

from __future__ import annotations

import io
from collections.abc import Sequence

import openai
import pytest

from sensorium.benchmarks.speech.errors import word_error_rate, word_errors
from sensorium.benchmarks.speech.recordings import Clip, composed, librivox_clips, wav
from tests.kit.speech import Encoding, encode, hum, silence, vorbis
from tests.kit.tiny_whisper import SENTENCE

pytestmark = pytest.mark.engine

ENCODINGS = [
    Encoding("wav", "pcm_s16le", 8000),
    Encoding("wav", "pcm_s16le", 44100, "stereo"),
    Encoding("wav", "pcm_s16le", 48000),
    Encoding("wav", "pcm_f32le", 48000, "stereo"),
    Encoding("mp3", "libmp3lame", 44100, "stereo"),
    Encoding("mp3", "libmp3lame", 16000),
    Encoding("flac", "flac", 44100, "stereo"),
    Encoding("ogg", "libopus", 48000),
    Encoding("m4a", "aac", 44100, "stereo", container="ipod"),
]


@pytest.fixture(scope="module")
def clips() -> Sequence[Clip]:
    found = librivox_clips()
    if not found:
        pytest.skip("Debian's package pocketsphinx-testdata is not installed")
    return found


def transcribe(client: openai.OpenAI, name: str, data: bytes, model: str = "whisper-base") -> str:
    answer = client.audio.transcriptions.create(
        model=model, file=(name, io.BytesIO(data)), language="en", temperature=0
    )
    return answer.text


SAID = SENTENCE.strip()


@pytest.mark.parametrize("model", ["tiny-whisper", "tiny-english"])
def test_tiny_whispers_say_their_sentence(demo_client: openai.OpenAI, model: str) -> None:
    assert transcribe(demo_client, "s.wav", hum(1), model) == SAID


def test_tiny_whisper_is_asked_for_the_language(demo_client: openai.OpenAI) -> None:
    answer = demo_client.audio.transcriptions.create(
        model="tiny-whisper",
        file=("s.wav", io.BytesIO(hum(1))),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert (answer.text, answer.language) == (SAID, "english")
    assert [word.word for word in answer.words or ()] == SAID.split()
    assert [segment.text for segment in answer.segments or ()] == [SENTENCE]


def test_every_window_of_a_long_recording_is_written_down(demo_client: openai.OpenAI) -> None:
    text = transcribe(demo_client, "s.wav", hum(100), "tiny-whisper")
    assert text.split() == SAID.split() * (len(text.split()) // len(SAID.split()))
    assert text.count(SAID) >= 4


def test_events_as_the_client_reads_them(demo_client: openai.OpenAI) -> None:
    events = list(
        demo_client.audio.transcriptions.create(
            model="tiny-whisper", file=("s.wav", io.BytesIO(hum(1))), stream=True
        )
    )
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert getattr(events[-1], "text", None) == SAID


def test_silence_is_no_text(demo_client: openai.OpenAI) -> None:
    assert transcribe(demo_client, "s.wav", silence(40), "tiny-whisper") == ""


@pytest.mark.filterwarnings("ignore:deprecated")  # in the client, not in the API
def test_tiny_whisper_translates(demo_client: openai.OpenAI) -> None:
    answer = demo_client.audio.translations.create(
        model="tiny-whisper", file=("s.wav", io.BytesIO(hum(1)))
    )
    assert answer.text == SAID


def test_a_temperature_is_drawn_from_and_the_seed_says_what(demo_client: openai.OpenAI) -> None:
    def drawn(seed: int) -> str:
        return demo_client.audio.transcriptions.create(
            model="tiny-whisper",
            file=("s.wav", io.BytesIO(hum(1))),
            temperature=1,
            extra_body={"seed": seed},
        ).text

    texts = [drawn(seed) for seed in (1, 1, 2, 3)]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("data", [b"", b"no sound at all"], ids=["empty", "text"])
def test_what_is_no_sound_is_refused(demo_client: openai.OpenAI, data: bytes) -> None:
    with pytest.raises(openai.BadRequestError):
        transcribe(demo_client, "s.wav", data, "tiny-whisper")


def test_word_error_rate_on_librivox(whisper_client: openai.OpenAI, clips: Sequence[Clip]) -> None:
    pairs = [
        (clip.text, transcribe(whisper_client, clip.path.name, clip.path.read_bytes()))
        for clip in clips
    ]
    assert word_error_rate(pairs) < 0.05, pairs


@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
def test_sound_file_formats(
    whisper_client: openai.OpenAI, clips: Sequence[Clip], encoding: Encoding
) -> None:
    data = encode(clips[0].path, encoding)
    text = transcribe(whisper_client, f"clip.{encoding.suffix}", data)
    assert word_errors(clips[0].text, text) == 0, text


def test_ogg_vorbis(whisper_client: openai.OpenAI, clips: Sequence[Clip]) -> None:
    text = transcribe(whisper_client, "clip.ogg", vorbis(clips[0].path))
    assert word_errors(clips[0].text, text) == 0, text


def test_the_language_is_found(whisper_client: openai.OpenAI, clips: Sequence[Clip]) -> None:
    answer = whisper_client.audio.transcriptions.create(model="whisper-base", file=clips[1].path)
    assert word_errors(clips[1].text, answer.text) == 0, answer.text


def test_nothing_of_a_long_recording_is_lost(
    whisper_client: openai.OpenAI, clips: Sequence[Clip]
) -> None:
    samples, order = composed(list(clips), 75)
    wanted = " ".join(clip.text for clip in order)
    answer = whisper_client.audio.transcriptions.create(
        model="whisper-base",
        file=("long.wav", wav(samples)),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert word_errors(wanted, answer.text) <= 0.03 * len(wanted.split()), answer.text
    segments = answer.segments or []
    assert "".join(segment.text for segment in segments).strip() == answer.text
    times = [time for segment in segments for time in (segment.start, segment.end)]
    assert times == sorted(times)
    assert times[-1] <= len(samples) / 16000
    assert [word.start for word in answer.words or ()] == sorted(
        word.start for word in answer.words or ()
    )


def test_a_prompt_spells_names(whisper_client: openai.OpenAI, clips: Sequence[Clip]) -> None:
    clip = next(clip for clip in clips if "dashwood" in clip.text.lower())
    answer = whisper_client.audio.transcriptions.create(
        model="whisper-base", file=clip.path, language="en", prompt="Jon Dashwoode"
    )
    assert "Dashwoode" in answer.text
