"""The real engine through the official client: what a chat may hold and ask for."""

from __future__ import annotations

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.kit.media import BLUE, GREEN, RED, beeps, circle, data_url, image_bytes, image_url
from tests.kit.media import moving_circle as clip

pytestmark = pytest.mark.engine


def ask(client: openai.OpenAI, *parts: Any, **more: Any) -> Any:
    """The whole answer of `demo` to a message of these parts; strings are text."""
    content = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    messages: Any = [{"role": "user", "content": content}]
    return client.chat.completions.create(model="demo", messages=messages, **more)


def words(answer: Any) -> str:
    return str(answer.choices[0].message.content).lower()


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


class TestMedia:
    def test_image(self, demo_client: openai.OpenAI) -> None:
        answer = ask(demo_client, "What color is the circle?", image(image_url(circle(RED))))
        assert "red" in words(answer)
        details = answer.usage.prompt_tokens_details
        assert details.image_tokens > 0
        assert details.audio_tokens == 0
        total = details.image_tokens + details.text_tokens
        assert total == answer.usage.prompt_tokens

    @pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "BMP"])
    def test_image_formats(self, demo_client: openai.OpenAI, kind: str) -> None:
        answer = ask(
            demo_client, "What color is the circle?", image(image_url(circle(GREEN), kind))
        )
        assert "green" in words(answer)

    def test_two_images(self, demo_client: openai.OpenAI) -> None:
        pictures = [image(image_url(circle(colour))) for colour in (RED, BLUE)]
        answer = ask(demo_client, *pictures, "How many images are there?")
        assert "2" in words(answer)

    def test_image_by_http(self, demo_client: openai.OpenAI, web: str) -> None:
        answer = ask(demo_client, "What color is the circle?", image(f"{web}/blue.png"))
        assert "blue" in words(answer)

    def test_image_by_file_url(self, demo_client: openai.OpenAI, media_root: Path) -> None:
        path = media_root / "green.png"
        path.write_bytes(image_bytes(circle(GREEN)))
        answer = ask(demo_client, "What color is the circle?", image(path.as_uri()))
        assert "green" in words(answer)

    def test_file_part(self, demo_client: openai.OpenAI) -> None:
        file = {"filename": "a.png", "file_data": image_url(circle(BLUE))}
        answer = ask(demo_client, "What color is the circle?", {"type": "file", "file": file})
        assert "blue" in words(answer)

    @pytest.mark.parametrize("rate", [16000, 44100, 8000])
    def test_sound_at_any_rate(self, demo_client: openai.OpenAI, rate: int) -> None:
        data = base64.b64encode(beeps(3, rate)).decode()
        part = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
        answer = ask(demo_client, part, "Is this speech?")
        assert "no" in words(answer)
        assert answer.usage.prompt_tokens_details.audio_tokens > 0

    def test_sound_by_url(self, demo_client: openai.OpenAI) -> None:
        part = {"type": "audio_url", "audio_url": {"url": data_url("audio/wav", beeps(2))}}
        assert "no" in words(ask(demo_client, part, "Is someone speaking?"))

    def test_clip(self, demo_client: openai.OpenAI) -> None:
        part = {"type": "video_url", "video_url": {"url": data_url("video/mp4", clip(BLUE))}}
        answer = ask(demo_client, part, "What color is the circle?")
        assert "blue" in words(answer)
        details = answer.usage.prompt_tokens_details.model_dump()
        assert details["video_tokens"] > 0

    def test_image_sound_and_clip_together(self, demo_client: openai.OpenAI) -> None:
        answer = ask(
            demo_client,
            image(image_url(circle(RED))),
            {"type": "audio_url", "audio_url": {"url": data_url("audio/wav", beeps(1))}},
            {"type": "video_url", "video_url": {"url": data_url("video/mp4", clip())}},
            "What color is the circle in the image?",
        )
        details = answer.usage.prompt_tokens_details.model_dump()
        assert details["image_tokens"] and details["audio_tokens"] and details["video_tokens"]


class TestOptions:
    def test_stream_equals_the_whole(self, demo_client: openai.OpenAI) -> None:
        whole = ask(demo_client, "What can you do?", temperature=0)
        chunks = list(
            ask(
                demo_client,
                "What can you do?",
                temperature=0,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert text.lower() == words(whole)
        assert sum(bool(c.choices and c.choices[0].delta.content) for c in chunks) > 5
        assert chunks[-1].choices == []
        assert chunks[-1].usage.prompt_tokens_details.text_tokens == whole.usage.prompt_tokens

    def test_several_choices_with_a_seed_repeat(self, demo_client: openai.OpenAI) -> None:
        options: Any = {"n": 3, "temperature": 1.5, "seed": 7, "max_completion_tokens": 12}
        texts = [
            [choice.message.content for choice in ask(demo_client, "Hello", **options).choices]
            for _ in range(2)
        ]
        assert len(texts[0]) == 3
        assert texts[0] == texts[1]

    def test_stop_and_length(self, demo_client: openai.OpenAI) -> None:
        stopped = ask(demo_client, "What can you do?", stop=["count"], temperature=0)
        assert "count" not in words(stopped)
        assert stopped.choices[0].finish_reason == "stop"
        short = ask(demo_client, "What can you do?", max_completion_tokens=3)
        assert (short.usage.completion_tokens, short.choices[0].finish_reason) == (3, "length")

    def test_logprobs(self, demo_client: openai.OpenAI) -> None:
        answer = ask(demo_client, "Hello", logprobs=True, top_logprobs=3, temperature=0)
        first = answer.choices[0].logprobs.content[0]
        assert first.token == first.top_logprobs[0].token
        assert first.logprob <= 0

    def test_json_schema(self, demo_client: openai.OpenAI) -> None:
        schema = {
            "type": "object",
            "properties": {"color": {"enum": ["red", "green"]}, "count": {"type": "boolean"}},
            "required": ["color", "count"],
            "additionalProperties": False,
        }
        answer = ask(
            demo_client,
            image(image_url(circle(RED))),
            "What color is the circle?",
            response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
        )
        found = json.loads(answer.choices[0].message.content)
        assert found["color"] in {"red", "green"}
        assert isinstance(found["count"], bool)

    def test_a_named_tool_is_called(self, demo_client: openai.OpenAI) -> None:
        parameters = {
            "type": "object",
            "properties": {"side": {"enum": ["left", "right"]}},
            "required": ["side"],
            "additionalProperties": False,
        }
        turn = {"name": "turn", "strict": True, "parameters": parameters}
        tool = {"type": "function", "function": turn}
        answer = ask(
            demo_client,
            "Which way?",
            tools=[tool],
            tool_choice={"type": "function", "function": {"name": "turn"}},
            # Too small a model to stop writing blanks where the grammar lets it.
            frequency_penalty=2,
            temperature=0,
        )
        (call,) = answer.choices[0].message.tool_calls
        assert call.function.name == "turn"
        assert json.loads(call.function.arguments)["side"] in {"left", "right"}


class TestOtherEndpoints:
    def test_completions(self, demo_client: openai.OpenAI) -> None:
        answer = demo_client.completions.create(model="demo", prompt="Hello", max_tokens=4)
        assert answer.usage is not None
        assert answer.usage.prompt_tokens_details is not None

    def test_responses_with_an_image(self, demo_client: openai.OpenAI) -> None:
        content: Any = [
            {"type": "input_text", "text": "What color is the circle?"},
            {"type": "input_image", "image_url": image_url(circle(RED)), "detail": "auto"},
        ]
        message: Any = {"role": "user", "content": content}
        answer = demo_client.responses.create(model="demo", input=[message])
        assert "red" in answer.output_text.lower()

    def test_models(self, demo_client: openai.OpenAI) -> None:
        names = [model.id for model in demo_client.models.list()]
        assert names[:2] == ["demo", "tiny-whisper"]
        assert demo_client.models.retrieve("demo").id == "demo"

    def test_transcription_by_the_tiny_whisper(self, demo_client: openai.OpenAI) -> None:
        answer = demo_client.audio.transcriptions.create(
            model="tiny-whisper", file=("a.wav", beeps(2, 44100)), language="en"
        )
        assert answer.text.strip() == "A tiny model says this."

    def test_tokenize_and_back(self, demo_client: openai.OpenAI) -> None:
        tokens = demo_client.post(
            "../tokenize", body={"model": "demo", "prompt": "Hello"}, cast_to=object
        )
        back = demo_client.post(
            "../detokenize", body={"model": "demo", "tokens": tokens["tokens"]}, cast_to=object
        )
        assert back["prompt"] == "Hello"


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    """A web server on loopback with one picture."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = image_bytes(circle(BLUE))
            found = self.path == "/blue.png"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(content) if found else 0))
            self.end_headers()
            if found:
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Stay quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
