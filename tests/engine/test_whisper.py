"""Transcription through a real engine: a tiny model that is always there, and Whisper base."""

from __future__ import annotations

import io
from collections.abc import Sequence

import openai
import pytest

from tests.kit.speech import (
    Clip,
    Encoding,
    encode,
    librivox_clips,
    silence,
    vorbis,
    word_error_rate,
    word_errors,
)
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


def test_tiny_whisper_says_its_sentence(demo_client: openai.OpenAI) -> None:
    assert transcribe(demo_client, "s.wav", silence(1), "tiny-whisper") == SENTENCE


def test_tiny_whisper_is_asked_for_the_language(demo_client: openai.OpenAI) -> None:
    answer = demo_client.audio.transcriptions.create(
        model="tiny-whisper", file=("s.wav", io.BytesIO(silence(1)))
    )
    assert answer.text == SENTENCE


@pytest.mark.filterwarnings("ignore:deprecated")  # in the client, not in the API
def test_tiny_whisper_translates(demo_client: openai.OpenAI) -> None:
    answer = demo_client.audio.translations.create(
        model="tiny-whisper", file=("s.wav", io.BytesIO(silence(1)))
    )
    assert answer.text == SENTENCE


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
