"""vLLM's answers as OpenAI's clients expect them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sensorium.serving.http.shape import conform
from sensorium.serving.http.translate import translate_error, translate_event, translate_success
from sensorium.serving.http.usage import complete_usage
from sensorium.serving.http.validation import describe_validation_error


def error(status: int, **fields: Any) -> tuple[int, dict[str, Any]]:
    status, body = translate_error(status, json.dumps({"error": fields}).encode())
    return status, json.loads(body)["error"]


class TestErrors:
    def test_vllm_fields(self) -> None:
        status, translated = error(
            400,
            message="too hot (parameter=temperature, value=9)",
            param="body.temperature",
            code=400,
        )
        assert status == 400
        assert translated == {
            "message": "too hot",
            "type": "invalid_request_error",
            "param": "temperature",
            "code": None,
        }

    def test_too_long_a_prompt_has_openais_code(self) -> None:
        message = "This model's maximum context length is 64 tokens. However, ..."
        _, translated = error(400, message=message, param="input_tokens")
        assert (translated["code"], translated["param"]) == ("context_length_exceeded", "messages")

    @pytest.mark.parametrize(
        ("came", "sent", "kind"),
        [
            (422, 400, "invalid_request_error"),
            (501, 400, "invalid_request_error"),
            (429, 429, "rate_limit_error"),
            (500, 500, "server_error"),
        ],
    )
    def test_status_and_type(self, came: int, sent: int, kind: str) -> None:
        status, translated = error(came, message="m", type="Whatever", code=came)
        assert (status, translated["type"], translated["code"]) == (sent, kind, None)

    @pytest.mark.parametrize(
        "body", [b"", b"plain words", b'"text"', b'{"error": "Unauthorized"}', b"[1]", b"{}"]
    )
    def test_any_body_gives_a_whole_error(self, body: bytes) -> None:
        _, sent = translate_error(401, body)
        assert set(json.loads(sent)["error"]) == {"message", "type", "param", "code"}
        assert json.loads(sent)["error"]["message"]

    def test_translating_twice_changes_nothing(self) -> None:
        once = translate_error(404, b'{"error": {"message": "The model `x` does not exist."}}')
        assert translate_error(*once) == once


class TestUsage:
    def test_split_by_modality_adds_up(self) -> None:
        media = {"image": 30, "audio": 5, "video": 10}
        usage = {"prompt_tokens": 60, "prompt_tokens_details": {"multimodal_tokens": media}}
        complete_usage(usage)
        details: Any = usage["prompt_tokens_details"]
        assert details["text_tokens"] == 15
        assert (details["image_tokens"], details["audio_tokens"], details["video_tokens"]) == (
            30,
            5,
            10,
        )
        assert details["cached_tokens"] == 0
        assert details["multimodal_tokens"] == media

    def test_other_usages_are_left_alone(self) -> None:
        usage = {"type": "duration", "seconds": 3}
        complete_usage(usage)
        assert usage == {"type": "duration", "seconds": 3}


class TestEvents:
    def test_most_events_are_not_touched(self) -> None:
        event = b'data: {"choices":[{"delta":{"content":"\\"usage\\": no"}}],"usage":null}\n\n'
        assert translate_event(event) is event
        assert translate_event(b"data: [DONE]\n\n") == b"data: [DONE]\n\n"
        assert translate_event(b": keep-alive\n\n") == b": keep-alive\n\n"

    def test_error_in_a_stream(self) -> None:
        event = b'data: {"error":{"message":"late","type":"X","param":null,"code":500}}\n\n'
        assert json.loads(translate_event(event)[6:])["error"] == {
            "message": "late",
            "type": "server_error",
            "param": None,
            "code": None,
        }

    def test_response_events_keep_their_name(self) -> None:
        data = b'{"response": {"object": "response", "user": null}}'
        event = b"event: response.completed\ndata: " + data + b"\n\n"
        translated = translate_event(event)
        assert translated.startswith(b"event: response.completed\ndata: ")
        assert "user" not in json.loads(translated.partition(b"data: ")[2])["response"]

    def test_events_that_only_look_like_json(self) -> None:
        broken = b'data: {"usage":{ broken\n\n'
        assert translate_event(broken) == broken


class TestShape:
    def test_chat(self) -> None:
        message = {"content": "x", "annotations": None, "audio": None, "function_call": None}
        answer = {
            "object": "chat.completion",
            "choices": [{"message": message, "logprobs": {"content": []}}],
            "usage": {"completion_tokens_details": None},
        }
        conform(answer)
        assert message == {"content": "x"}
        assert answer["choices"][0]["logprobs"] == {"content": [], "refusal": None}  # type: ignore[index]
        assert answer["usage"] == {}

    def test_response_items(self) -> None:
        part = {"type": "output_text", "text": "Red.", "logprobs": None}
        item = {"type": "message", "phase": None, "content": [dict(part)]}
        tool = {"type": "function", "name": "f", "parameters": None, "description": None}
        text = {"format": {"type": "json_schema", "description": None}}
        answer = {"object": "response", "output": [item], "tools": [tool], "text": text}
        conform(answer)
        assert item == {"type": "message", "content": [{**part, "logprobs": []}]}
        assert tool == {"type": "function", "name": "f", "parameters": None}
        assert text == {"format": {"type": "json_schema"}}

    def test_events_of_a_response_stream(self) -> None:
        part = {"type": "output_text", "text": "Red.", "logprobs": None}
        event = {"type": "response.content_part.done", "part": part}
        sent = translate_event(b"data: " + json.dumps(event).encode() + b"\n\n")
        assert json.loads(sent[6:])["part"]["logprobs"] == []

    def test_success_without_usage_is_the_same_object(self) -> None:
        body = b'{"tokens": [1]}'
        assert translate_success(body) is body


class TestValidation:
    @pytest.mark.parametrize(
        ("found", "param", "words"),
        [
            ({"type": "missing", "loc": ("body", "messages")}, "messages", "Missing required"),
            (
                {"type": "int_parsing", "loc": ("body", "n"), "msg": "not an int", "input": "x"},
                "n",
                "Invalid `n`: not an int; got 'x'",
            ),
            (
                {"type": "x", "loc": ("body", "stop", "list[str]", 0), "msg": "bad", "input": {}},
                "stop.0",
                "got an object",
            ),
            (
                {"type": "value_error", "loc": ("body",), "msg": "Value error, no", "input": {}},
                None,
                "no",
            ),
        ],
    )
    def test_one_finding(self, found: dict[str, Any], param: str | None, words: str) -> None:
        wrong = describe_validation_error([found])
        assert wrong.param == param
        assert words in wrong.message

    def test_more_fields_are_counted(self) -> None:
        found = [{"type": "missing", "loc": ("body", name)} for name in ("a", "b", "c")]
        assert describe_validation_error(found).message.endswith("(and 2 more fields)")
