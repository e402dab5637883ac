"""The two routes over a scripted engine: formats, events, errors, clients that leave."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from sensorium.serving.errors import UnavailableError
from sensorium.serving.http.app import SensoriumApp
from sensorium.serving.http.state import ServerState
from sensorium.serving.media.pipeline import MediaPipeline
from sensorium.serving.media.pool import PoolOptions
from sensorium.serving.models import ModelSlot, ModelTable
from sensorium.serving.speech.app import SpeechApp
from sensorium.serving.speech.recording import Decoder, SoundLimits
from sensorium.serving.speech.transcriber import Transcriber
from sensorium.serving.speech.whisper import Whisper
from sensorium.serving.speech.window import Window
from sensorium.serving.testing.fake_model import FakeModel
from tests.conformance.description import Description
from tests.kit.scripted_speech import Line, ScriptedSpeech, tiny_facts

PATH = "/v1/audio/transcriptions"
# The part of OpenAI's published description that is needed here, so that these tests run anywhere.
OPENAI_ANSWERS = Path(__file__).with_name("openai_answers.json")


def wav(seconds: float, rate: int = 16000, channels: int = 1) -> bytes:
    """A sound that rises and falls."""
    time = np.arange(int(seconds * rate)) / rate
    sound = 0.3 * np.sin(2 * np.pi * 300 * time) * (np.sin(2 * np.pi * time) > 0)
    out = io.BytesIO()
    soundfile.write(out, np.stack([sound] * channels, 1), rate, format="WAV")
    return out.getvalue()


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Whisper:
    return tiny_facts(tmp_path_factory.mktemp("tiny"))


def two_segments(window: Window, temperature: float) -> Line:
    return (0.0, " Hello", 1.0, 1.0, " there.", 2.0)


class Served:
    """A server whose one model is a scripted Whisper."""

    def __init__(
        self, whisper: Whisper, media: MediaPipeline, limits: SoundLimits | None = None
    ) -> None:
        self.speech = ScriptedSpeech(whisper, two_segments)
        model = FakeModel(capabilities=frozenset({"transcription"}))
        decoder = Decoder(media, limits or SoundLimits())
        model.app = SpeechApp(model.app, Transcriber(self.speech, whisper), decoder)
        slot = ModelSlot(("w",))
        slot.model = model
        self.app = SensoriumApp(ServerState(ModelTable([slot])))
        transport = httpx.ASGITransport(self.app)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://test")

    async def ask(
        self, sound: bytes | None = None, path: str = PATH, **fields: Any
    ) -> httpx.Response:
        file = {"file": ("talk.wav", wav(4) if sound is None else sound)}
        return await self.client.post(path, data={"model": "w", **fields}, files=file)


@pytest.fixture(scope="module")
def media() -> Iterator[MediaPipeline]:
    found = MediaPipeline(recordings=PoolOptions(1))
    yield found
    found.close()


@pytest.fixture
def served(whisper: Whisper, media: MediaPipeline) -> Served:
    return Served(whisper, media)


async def test_json(served: Served) -> None:
    answer = await served.ask()
    assert answer.json() == {
        "text": "Hello there.",
        "usage": {"type": "duration", "seconds": 4},
    }


async def test_text_is_plain(served: Served) -> None:
    answer = await served.ask(response_format="text")
    assert answer.text == "Hello there.\n"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_srt(served: Served) -> None:
    answer = await served.ask(response_format="srt")
    assert answer.text == (
        "1\n00:00:00,000 --> 00:00:01,000\nHello\n\n2\n00:00:01,000 --> 00:00:02,000\nthere.\n\n"
    )


async def test_vtt(served: Served) -> None:
    answer = await served.ask(response_format="vtt")
    assert answer.text.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nHello\n\n")
    assert answer.headers["content-type"] == "text/vtt; charset=utf-8"


async def test_verbose_json(served: Served, whisper: Whisper) -> None:
    body = (await served.ask(response_format="verbose_json", language="German")).json()
    assert (body["language"], body["duration"], body["text"]) == ("german", 4.0, "Hello there.")
    first = body["segments"][0]
    assert first == {
        "id": 0,
        "seek": 0,
        "start": 0.0,
        "end": 1.0,
        "text": " Hello",
        "tokens": [whisper.vocabulary.timestamps, *b" Hello", whisper.vocabulary.timestamps + 50],
        "temperature": 0.0,
        "avg_logprob": -0.1,
        "compression_ratio": pytest.approx(12 / 20),
        "no_speech_prob": 0.01,
    }
    assert "words" not in body


async def test_words_are_in_order_and_within_the_recording(served: Served) -> None:
    asked = {"response_format": "verbose_json", "timestamp_granularities[]": ["word"]}
    body = (await served.ask(**asked)).json()
    assert [word["word"] for word in body["words"]] == ["Hello", "there."]
    assert "segments" not in body
    times = [time for word in body["words"] for time in (word["start"], word["end"])]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= 4


async def test_logprobs(served: Served) -> None:
    body = (await served.ask(**{"include[]": "logprobs"})).json()
    assert body["logprobs"][0] == {"token": " ", "logprob": -0.1, "bytes": [32]}
    assert "".join(entry["token"] for entry in body["logprobs"]) == " Hello there."


async def test_events(served: Served) -> None:
    answer = await served.ask(stream="true")
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in answer.text.split("\n\n") if line]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    kinds = [event["type"] for event in events]
    assert kinds == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert "".join(event["delta"] for event in events[:-1]) == events[-1]["text"] == "Hello there."
    assert events[-1]["usage"]["output_tokens"] == len(" Hello there.") + 4
    assert events[-1]["usage"]["input_token_details"]["audio_tokens"] == 200


async def test_translation_is_english(served: Served) -> None:
    answer = await served.ask(path="/v1/audio/translations", response_format="verbose_json")
    assert answer.json()["language"] == "english"
    assert answer.json()["task"] == "translate"


async def test_the_prompt_comes_before_the_first_window(served: Served) -> None:
    await served.ask(prompt="<|endoftext|> Ada")
    assert served.speech.asked[0].before == " <|endoftext|> Ada"


async def test_silence_is_no_text_and_asks_nothing(served: Served) -> None:
    out = io.BytesIO()
    soundfile.write(out, np.zeros(16000 * 40), 16000, format="WAV")
    body = (await served.ask(out.getvalue(), response_format="verbose_json")).json()
    assert (body["text"], body["segments"], served.speech.asked) == ("", [], [])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "diarized_json"}, "response_format"),
        ({"language": "klingon"}, "language"),
        ({"languages[]": ["de", "klingon"]}, "languages"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": "1.5"}, "temperature"),
        ({"temperature": "nan"}, "temperature"),
        ({"timestamp_granularities[]": "letter"}, "timestamp_granularities"),
        ({"include[]": "everything"}, "include"),
        ({"include[]": "logprobs", "response_format": "srt"}, "include"),
        ({"stream": "maybe"}, "stream"),
        ({"stream": "true", "response_format": "vtt"}, "stream"),
        ({"chunking_strategy": "slices"}, "chunking_strategy"),
        ({"channel": "-1"}, "channel"),
        ({"channel": "1"}, "channel"),
        ({"prompt": ["a", "b"], "language": ["de", "en"]}, "language"),
    ],
    ids=str,
)
async def test_wrong_fields_are_named(served: Served, fields: dict[str, Any], param: str) -> None:
    answer = await served.ask(**fields)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert served.speech.asked == []


@pytest.mark.parametrize("data", [b"", b"no sound at all", wav(0)], ids=["empty", "text", "none"])
async def test_what_is_no_sound_is_refused(served: Served, data: bytes) -> None:
    answer = await served.ask(data)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "file")


def odd_sounds() -> dict[str, tuple[bytes, int]]:
    """Files that are unusual or wrong, and the status that is right for each."""
    whole = wav(4)
    return {
        "empty": (b"", 400),
        "head only": (whole[:44], 400),
        "cut": (whole[: len(whole) // 2], 200),
        "no sound": (b"%PDF-1.7 " * 200, 400),
        "one sample": (wav_of(np.ones(1)), 200),
        "8 kHz": (wav(4, 8_000), 200),
        "192 kHz": (wav(1, 192_000), 200),
        "8 channels": (wav(2, channels=8), 200),
        "33 channels": (wav(1, channels=33), 400),
        "24 bits": (wav_of(np.sin(np.arange(16000)), subtype="PCM_24"), 200),
        "float": (wav_of(np.sin(np.arange(16000)), subtype="FLOAT"), 200),
        "FLAC named WAV": (wav_of(np.sin(np.arange(16000)), kind="FLAC"), 200),
        "NaN": (wav_of(np.full(16000, np.nan), subtype="FLOAT"), 400),
    }


def wav_of(samples: Any, kind: str = "WAV", subtype: str | None = None) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, 16000, format=kind, subtype=subtype)
    return out.getvalue()


@pytest.mark.parametrize("name", odd_sounds())
async def test_odd_sounds_are_right_or_a_clear_refusal(served: Served, name: str) -> None:
    data, status = odd_sounds()[name]
    answer = await served.ask(data, response_format="verbose_json")
    assert answer.status_code == status
    if status == 200:
        times = [s[edge] for s in answer.json()["segments"] for edge in ("start", "end")]
        assert all(0 <= time <= answer.json()["duration"] for time in times)
    else:
        error = answer.json()["error"]
        assert (error["param"], error["code"]) == ("file", "invalid_audio")
        assert error["message"].startswith("The file ")
        assert served.speech.asked == []


async def test_a_form_without_a_file(served: Served) -> None:
    answer = await served.client.post(PATH, files={"model": (None, "w")})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "file")


async def test_a_broken_form(served: Served) -> None:
    answer = await served.client.post(
        PATH,
        content=b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nw\r\n--x\r\nbroken',
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    assert answer.status_code == 400


async def test_a_recording_over_the_limit(whisper: Whisper, media: MediaPipeline) -> None:
    answer = await Served(whisper, media, SoundLimits(seconds=3)).ask()
    assert answer.status_code == 400
    assert "3 s" in answer.json()["error"]["message"]


async def test_an_english_model_neither_translates_nor_speaks_german(
    tmp_path: Path, media: MediaPipeline
) -> None:
    served = Served(tiny_facts(tmp_path, english=True), media)
    translation = await served.ask(path="/v1/audio/translations")
    german = await served.ask(language="de")
    assert [translation.status_code, german.status_code] == [400, 400]
    assert (await served.ask(language="en")).status_code == 200


async def test_an_engine_that_dies_leaves_no_half_answer(served: Served) -> None:
    served.speech.broken, served.speech.breaks_at = UnavailableError("The engine has stopped"), 100
    long = {"chunking_strategy": "sequential", "sound": wav(70)}
    answer = await served.ask(**long)
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "server_error")
    streamed = httpx.ASGITransport(served.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=streamed, base_url="http://test") as client:
        form = {"model": "w", "stream": "true", "chunking_strategy": "sequential"}
        events = (await client.post(PATH, data=form, files={"file": ("a.wav", wav(70))})).text
    assert "transcript.text.delta" in events
    assert "transcript.text.done" not in events
    assert json.loads(events.split("\n\n")[-2].removeprefix("data: "))["error"]


async def test_a_worker_that_dies_over_a_file_fails_that_request_only(
    served: Served, media: MediaPipeline
) -> None:
    await served.ask()  # the worker is up
    [worker] = media.recordings.pids()
    os.kill(worker, signal.SIGSTOP)  # so that it dies over the file, whatever is in it
    asked = asyncio.create_task(served.ask())
    await asyncio.sleep(0.2)
    os.kill(worker, signal.SIGSEGV)
    os.kill(worker, signal.SIGCONT)
    error = (await asked).json()["error"]
    assert error["message"] == "The file cannot be read: the decoder broke down over it"
    assert (error["param"], error["code"]) == ("file", "invalid_audio")
    assert (await served.ask()).json()["text"] == "Hello there."
    assert media.recordings.replaced == 1


async def test_a_client_that_leaves_while_its_file_is_decoded_frees_the_worker(
    served: Served, media: MediaPipeline
) -> None:
    await served.ask()
    [worker] = media.recordings.pids()
    os.kill(worker, signal.SIGSTOP)
    leaving = asyncio.Event()
    gone = asyncio.create_task(leave_after(served, leaving))
    await asyncio.sleep(0.2)
    leaving.set()
    await gone
    assert (await served.ask()).json()["text"] == "Hello there."
    assert media.recordings.pids() != [worker]


async def test_a_client_that_leaves_ends_the_work(served: Served) -> None:
    served.speech.gate = asyncio.Event()
    await leave_after(served, served.speech.reached)
    assert served.speech.cancelled == 1


async def leave_after(served: Served, ready: asyncio.Event) -> None:
    """Send a request over bare ASGI, and go once `ready` is set."""
    request = served.client.build_request(
        "POST", PATH, data={"model": "w"}, files={"file": ("a.wav", wav(4))}
    )
    body = await request.aread()
    messages: Iterator[dict[str, Any]] = iter([{"type": "http.request", "body": body}])

    async def receive() -> dict[str, Any]:
        for message in messages:
            return message
        await asyncio.wait_for(ready.wait(), 10)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError(f"nobody is there to read {message}")

    headers = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    scope = {"type": "http", "method": "POST", "path": PATH, "headers": headers}
    await served.app({**scope, "query_string": b"", "http_version": "1.1"}, receive, send)


@pytest.mark.parametrize("kind", ["json", "verbose_json", "stream"])
@pytest.mark.parametrize("path", [PATH, "/v1/audio/translations"])
async def test_answers_fit_openai_s_description(served: Served, path: str, kind: str) -> None:
    description = Description(json.loads(OPENAI_ANSWERS.read_text("utf-8")), defects=())
    fields: dict[str, Any] = {"stream": "true"} if kind == "stream" else {"response_format": kind}
    if path == PATH:
        fields["timestamp_granularities[]"] = ["word", "segment"]
        if kind != "verbose_json":
            fields["include[]"] = "logprobs"
    answer = await served.ask(path=path, **fields)
    if kind != "stream":
        name = "Transcription" if path == PATH else "Translation"
        schema = f"Create{name}Response{'Json' if kind == 'json' else 'VerboseJson'}"
        assert description.faults(schema, answer.json()) is None
        return
    for line in filter(None, answer.text.split("\n\n")):
        event = json.loads(line.removeprefix("data: "))
        fault = description.faults_of_event("CreateTranscriptionResponseStreamEvent", event)
        assert fault is None
