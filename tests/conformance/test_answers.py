"""Every kind of answer, whole and streamed, fits the schema OpenAI publishes for it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conformance.description import Description
from tests.conformance.live import Conformance, report_counts
from tests.kit.media import RED, beeps, circle, data_url, image_url, moving_circle

SCHEMA: dict[str, Any] = {
    "name": "answer",
    "strict": True,
    "schema": {
        "type": "object",
        "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}},
        "required": ["colour"],
        "additionalProperties": False,
    },
}
FUNCTION: dict[str, Any] = {
    "name": "look",
    "description": "Look somewhere",
    "parameters": {"type": "object", "properties": {"where": {"enum": ["left", "right"]}}},
}
TOOLS = {"tools": [{"type": "function", "function": FUNCTION}]}
IMAGE = {"type": "image_url", "image_url": {"url": image_url(circle(RED))}}
SOUND = {
    "type": "input_audio",
    "input_audio": {"data": base64.b64encode(beeps(2)).decode(), "format": "wav"},
}
SEEN = {"answers": 0, "events": 0, "errors": 0}


def clip() -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": data_url("video/mp4", moving_circle())}}


def chat(*parts: Any, **more: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    messages = [{"role": "user", "content": content}]
    return {"model": "demo", "messages": messages, "max_completion_tokens": 40, **more}


CHATS = {
    "text": chat("Hello"),
    "image": chat("What color is the circle?", IMAGE),
    "sound": chat("How many beeps are there?", SOUND),
    "clip": chat("What moves?", clip()),
    "tools-offered": chat("Hello", **TOOLS),
    "tool-required": chat("Hello", **TOOLS, tool_choice="required"),
    "tool-named": chat(
        "Hello", **TOOLS, tool_choice={"type": "function", "function": {"name": "look"}}
    ),
    "json-schema": chat("Hello", response_format={"type": "json_schema", "json_schema": SCHEMA}),
    "logprobs": chat("Hello", logprobs=True, top_logprobs=3),
    "two-choices": chat("Hello", n=2, temperature=1, seed=1),
    "cut-short": chat("Hello", max_completion_tokens=2),
    "stopped": chat("Hello", stop=["e"]),
}
COMPLETIONS: dict[str, dict[str, Any]] = {
    "one": {"prompt": "Hello"},
    "two-prompts": {"prompt": ["Hello", "Hi"], "n": 2, "temperature": 1, "logprobs": 2},
    "echo": {"prompt": "Hello", "echo": True},
}
RESPONSES: dict[str, dict[str, Any]] = {
    "text": {"input": "Hello"},
    "image": {
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What color is the circle?"},
                    {"type": "input_image", "detail": "auto", "image_url": image_url(circle(RED))},
                ],
            }
        ]
    },
    "tool-required": {
        "input": "Hello",
        "tools": [{"type": "function", "strict": True, **FUNCTION}],
        "tool_choice": "required",
    },
    "json-schema": {"input": "Hello", "text": {"format": {"type": "json_schema", **SCHEMA}}},
    "logprobs": {
        "input": "Hello",
        "include": ["message.output_text.logprobs"],
        "top_logprobs": 2,
    },
    "cut-short": {"input": "Hello", "max_output_tokens": 2},
    "nulls": {"input": "Hello", "background": None, "truncation": None},
}


@pytest.fixture(scope="module", autouse=True)
def counted() -> Iterator[None]:
    yield
    counts = ", ".join(f"{number} {name}" for name, number in SEEN.items())
    report_counts(f"fit OpenAI's description: {counts}")


def answer_of(conformance: Conformance, path: str, **request: Any) -> Any:
    answer = conformance.client.post(f"/v1{path}", **request)
    assert answer.status_code == 200, answer.text
    SEEN["answers"] += 1
    return answer.json()


def events_of(conformance: Conformance, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    answer = conformance.client.post(f"/v1{path}", json={**body, "stream": True})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    if path != "/responses":
        assert lines.pop() == "[DONE]"
    SEEN["events"] += len(lines)
    return [json.loads(line) for line in lines]


class TestChat:
    @pytest.mark.parametrize("name", CHATS)
    def test_whole(self, conformance: Conformance, description: Description, name: str) -> None:
        answer = answer_of(conformance, "/chat/completions", json=CHATS[name])
        assert description.faults_of_answer("/chat/completions", answer) is None

    @pytest.mark.parametrize("name", CHATS)
    def test_streamed(self, conformance: Conformance, description: Description, name: str) -> None:
        body = {**CHATS[name], "stream_options": {"include_usage": True}}
        chunks = events_of(conformance, "/chat/completions", body)
        for chunk in chunks:
            assert description.faults("CreateChatCompletionStreamResponse", chunk) is None
        assert chunks[-1]["choices"] == []
        assert chunks[-1]["usage"]["prompt_tokens_details"]["text_tokens"] > 0


class TestCompletions:
    @pytest.mark.parametrize("name", COMPLETIONS)
    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
    def test_text(
        self, conformance: Conformance, description: Description, name: str, stream: bool
    ) -> None:
        body = {"model": "demo", "max_tokens": 5, **COMPLETIONS[name]}
        if stream:
            body["stream_options"] = {"include_usage": True}
            answers = events_of(conformance, "/completions", body)
        else:
            answers = [answer_of(conformance, "/completions", json=body)]
        for answer in answers:
            assert description.faults("CreateCompletionResponse", answer) is None


class TestResponses:
    @pytest.mark.parametrize("name", RESPONSES)
    def test_whole(self, conformance: Conformance, description: Description, name: str) -> None:
        body = {"model": "demo", "max_output_tokens": 40, **RESPONSES[name]}
        answer = answer_of(conformance, "/responses", json=body)
        assert description.faults_of_answer("/responses", answer) is None

    @pytest.mark.parametrize("name", RESPONSES)
    def test_streamed(self, conformance: Conformance, description: Description, name: str) -> None:
        body = {"model": "demo", "max_output_tokens": 40, **RESPONSES[name]}
        events = events_of(conformance, "/responses", body)
        for event in events:
            assert description.faults_of_event("ResponseStreamEvent", event) is None
        assert events[-1]["type"] in {"response.completed", "response.incomplete"}


class TestTheRest:
    def test_models(self, conformance: Conformance, description: Description) -> None:
        SEEN["answers"] += 2
        models = conformance.client.get("/v1/models").json()
        assert description.faults("ListModelsResponse", models) is None
        model = conformance.client.get("/v1/models/gpt-6-astra").json()
        assert description.faults("Model", model) is None

    @pytest.mark.parametrize("encoding", ["float", "base64"])
    def test_embeddings(
        self, conformance: Conformance, description: Description, encoding: str
    ) -> None:
        body = {
            "model": "text-embedding-3-small",
            "input": ["one", "two"],
            "encoding_format": encoding,
        }
        answer = answer_of(conformance, "/embeddings", json=body)
        assert description.faults_of_answer("/embeddings", answer) is None

    @pytest.mark.parametrize("kind", ["json", "verbose_json"])
    @pytest.mark.parametrize("path", ["/audio/transcriptions", "/audio/translations"])
    def test_speech(
        self, conformance: Conformance, description: Description, path: str, kind: str
    ) -> None:
        form: dict[str, Any] = {"model": "whisper-1", "response_format": kind, "language": "en"}
        if path == "/audio/transcriptions":
            form["timestamp_granularities[]"] = ["word", "segment"]
            form["include[]"] = ["logprobs"] if kind == "json" else []
        files = {"file": ("sound.wav", conformance.sound.read_bytes())}
        answer = answer_of(conformance, path, data=form, files=files)
        name = "Transcription" if path == "/audio/transcriptions" else "Translation"
        schema = f"Create{name}Response{'Json' if kind == 'json' else 'VerboseJson'}"
        assert description.faults(schema, answer) is None

    @pytest.mark.parametrize("include", [[], ["logprobs"]], ids=["text", "logprobs"])
    def test_streamed_speech(
        self, conformance: Conformance, description: Description, include: list[str]
    ) -> None:
        form = {"model": "whisper-1", "stream": "true", "include[]": include}
        files = {"file": ("sound.wav", conformance.sound.read_bytes())}
        answer = conformance.client.post("/v1/audio/transcriptions", data=form, files=files)
        lines = [line for line in answer.text.split("\n\n") if line]
        events = [json.loads(line.removeprefix("data: ")) for line in lines]
        SEEN["answers"] += len(events)
        for event in events:
            assert (
                description.faults_of_event("CreateTranscriptionResponseStreamEvent", event) is None
            )
        assert [event["type"] for event in events][-1] == "transcript.text.done"
        assert len(events) > 1


def image(url: object) -> dict[str, Any]:
    return chat("What is this?", {"type": "image_url", "image_url": {"url": url}})


WRONG: dict[str, tuple[int, dict[str, Any]]] = {
    "malformed-json": (400, {"content": b'{"model": "demo",'}),
    "no-body": (400, {"content": b""}),
    "not-an-object": (400, {"json": []}),
    "half-a-character": (400, {"content": rb'{"model": "\ud83d"}'}),
    "wrong-type": (400, {"json": chat("Hello", temperature="hot")}),
    "wrong-value": (400, {"json": chat("Hello", temperature=9)}),
    "no-messages": (400, {"json": {"model": "demo"}}),
    "unknown-model": (404, {"json": chat("Hello", model="gpt-none")}),
    "model-that-does-not-chat": (400, {"json": chat("Hello", model="whisper-1")}),
    "undecodable-image": (400, {"json": image("data:image/png;base64,AAAA")}),
    "not-base64": (400, {"json": image("data:image/png;base64,@@@")}),
    "unreachable-url": (400, {"json": image("http://127.0.0.1:9/a.png")}),
    "file-url": (400, {"json": image("file:///a.png")}),
    "not-a-url": (400, {"json": image(7)}),
    "too-many-images": (400, {"json": chat(*[IMAGE] * 9)}),
    "unknown-part": (400, {"json": chat({"type": "smell"})}),
    "prompt-too-long": (400, {"json": chat("hello " * 6000)}),
    "missing-key": (401, {"json": chat("Hello"), "headers": {"authorization": ""}}),
    "wrong-key": (401, {"json": chat("Hello"), "headers": {"authorization": "Bearer x"}}),
}


class TestErrors:
    @pytest.mark.parametrize("name", WRONG)
    def test_shape(self, conformance: Conformance, description: Description, name: str) -> None:
        status, request = WRONG[name]
        answer = conformance.client.post("/v1/chat/completions", **request)
        self.check(answer, status, description)

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [("GET", "/v1/nothing", 404), ("DELETE", "/v1/models", 405), ("GET", "/v1/models/x", 404)],
    )
    def test_wrong_address(
        self,
        conformance: Conformance,
        description: Description,
        method: str,
        path: str,
        status: int,
    ) -> None:
        self.check(conformance.client.request(method, path), status, description)

    def test_undecodable_sound(self, conformance: Conformance, description: Description) -> None:
        answer = conformance.client.post(
            "/v1/audio/transcriptions",
            data={"model": "whisper-1"},
            files={"file": ("a.wav", b"no sound")},
        )
        self.check(answer, 400, description)

    def test_still_loading(self, conformance: Conformance, description: Description) -> None:
        self.check(conformance.early, 503, description)
        assert int(conformance.early.headers["retry-after"]) > 0

    @staticmethod
    def check(answer: httpx.Response, status: int, description: Description) -> None:
        assert answer.status_code == status, answer.text
        assert description.faults("ErrorResponse", answer.json()) is None
        assert answer.headers["x-request-id"]
        SEEN["errors"] += 1
