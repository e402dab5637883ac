"""Every error a client may meet: OpenAI's shape, the right status, the field at fault."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import openai
import pytest

from tests.kit.live_server import LiveServer
from tests.kit.media import circle, image_bytes, image_url

pytestmark = pytest.mark.engine

CHAT = "/v1/chat/completions"
TRUNCATED = image_bytes(circle())[:200]


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def png(content: bytes) -> dict[str, Any]:
    return image("data:image/png;base64," + base64.b64encode(content).decode())


SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
CLIP = {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}}
URL = "messages.0.content.1.image_url.url"


@pytest.mark.parametrize(
    ("part", "param", "words"),
    [
        (png(b"no picture"), URL, "not an image"),
        (png(TRUNCATED), URL, "Could not decode the image"),
        (png(b""), URL, "Could not decode the image"),
        (image("data:image/png;base64,@@@"), URL, "base64"),
        (
            image("http://127.0.0.1:9/x.png"),
            URL,
            "Could not fetch the image from http://127.0.0.1:9",
        ),
        (image("http://no-such-host.invalid/x.png"), URL, "Could not fetch the image"),
        (image("file:///etc/hostname"), URL, "--media-root"),
        (SOUND, "messages.0.content.1.input_audio.data", "Could not decode the audio"),
        (CLIP, "messages.0.content.1.video_url.url", "Could not decode the video"),
        ({"type": "smell"}, "messages.0.content.1.type", "got 'smell'"),
    ],
    ids=lambda value: None,
)
def test_one_bad_part(server: LiveServer, part: dict[str, Any], param: str, words: str) -> None:
    content = [{"type": "text", "text": "What is this?"}, part]
    messages = [{"role": "user", "content": content}]
    answer = httpx.post(server.url + CHAT, json={"model": "demo", "messages": messages}, timeout=60)
    error = answer.json()["error"]
    assert answer.status_code == 400, error
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"
    assert words in error["message"]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 9}, "temperature"),
        ({"n": "x"}, "n"),
        ({"max_completion_tokens": -1}, "max_tokens"),
        ({"messages": "hi"}, "messages"),
        ({"stream": "perhaps"}, "stream"),
        ({"top_logprobs": 5}, "top_logprobs"),
        ({"response_format": {"type": "poem"}}, "response_format.type"),
    ],
)
def test_wrong_types_and_values(server: LiveServer, change: dict[str, Any], param: str) -> None:
    body = {"model": "demo", "messages": [{"role": "user", "content": "hi"}], **change}
    answer = httpx.post(server.url + CHAT, json=body, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_prompt_too_long(demo_client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        demo_client.chat.completions.create(
            model="demo", messages=[{"role": "user", "content": "hello " * 6000}]
        )
    assert (raised.value.code, raised.value.param) == ("context_length_exceeded", "messages")


def test_too_many_images(demo_client: openai.OpenAI) -> None:
    parts: Any = [image(image_url(circle()))] * 9
    with pytest.raises(openai.BadRequestError) as raised:
        demo_client.chat.completions.create(
            model="demo", messages=[{"role": "user", "content": parts}]
        )
    assert raised.value.param == "messages.0.content.8"
    assert "takes 8" in raised.value.message


def test_unknown_model(demo_client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        demo_client.chat.completions.create(
            model="gpt-none", messages=[{"role": "user", "content": "hi"}]
        )
    assert raised.value.code == "model_not_found"
    assert "demo" in raised.value.message


def test_a_model_that_does_not_chat(demo_client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="does not do chat"):
        demo_client.chat.completions.create(
            model="tiny-whisper", messages=[{"role": "user", "content": "hi"}]
        )


def test_malformed_json(server: LiveServer) -> None:
    answer = httpx.post(server.url + CHAT, content=b'{"model": "demo",')
    assert answer.status_code == 400
    assert "line 1, column 18" in answer.json()["error"]["message"]


def test_no_sound_in_a_transcription(server: LiveServer) -> None:
    answer = httpx.post(
        server.url + "/v1/audio/transcriptions",
        data={"model": "tiny-whisper"},
        files={"file": ("a.wav", b"no sound")},
    )
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert "is not a sound or video file" in error["message"]
    assert (error["param"], error["code"]) == ("file", "invalid_audio")


def test_a_bad_request_does_not_harm_its_neighbours(demo_client: openai.OpenAI) -> None:
    test_too_many_images(demo_client)
    answer = demo_client.chat.completions.create(
        model="demo", messages=[{"role": "user", "content": "Hello"}]
    )
    assert answer.choices[0].message.content
