"""What a request is told of its own times."""

from __future__ import annotations

import json
import re

import pytest

from sensorium.serving.http.translate import translate_event, translate_success
from sensorium.serving.media.times import TIMES, RequestTimes, note
from sensorium.serving.testing.fake_model import FakeModel
from tests.serving.files.conftest import CHAT, row
from tests.serving.http.conftest import client_of, server_state

ENGINE = {"queue_time_ms": 1.5, "time_to_first_token_ms": 20.25, "speculative_decoding": None}
ANSWER = {"object": "chat.completion", "choices": [], "usage": {"prompt_tokens": 3}}


def test_stages_add_up() -> None:
    token = TIMES.set(RequestTimes())
    try:
        for seconds in (0.25, 0.5):
            note("decode", seconds)
        times = TIMES.get()
        assert times is not None
        assert times.report(None)["media_ms"] == {"decode": 750.0}
        assert times.header().startswith("media-decode;dur=750.00, total;dur=")
    finally:
        TIMES.reset(token)
    note("decode", 1.0)
    assert times.media == {"decode": 0.75}


def test_the_engines_times_are_in_the_answer() -> None:
    body = json.dumps({**ANSWER, "metrics": ENGINE}).encode()
    found = json.loads(translate_success(body, RequestTimes()))
    assert found["timings"]["queue_ms"] == 1.5
    assert found["timings"]["time_to_first_token_ms"] == 20.25
    assert found["timings"]["total_ms"] > 0
    assert "metrics" not in found


def test_nobody_else_is_told() -> None:
    found = json.loads(translate_success(json.dumps({**ANSWER, "metrics": ENGINE}).encode()))
    assert "timings" not in found
    assert "metrics" not in found


def test_a_stream_is_told_in_its_last_chunk() -> None:
    chunk = {"object": "chat.completion.chunk", "choices": [], "usage": {"prompt_tokens": 3}}
    event = b"data: " + json.dumps({**chunk, "metrics": ENGINE}).encode() + b"\n\n"
    found = json.loads(translate_event(event, RequestTimes())[6:])
    assert found["timings"]["queue_ms"] == 1.5
    earlier = b'data: {"object": "chat.completion.chunk", "choices": [{"logprobs": {}}]}\n\n'
    assert b"timings" not in translate_event(earlier, RequestTimes())


async def test_over_http() -> None:
    async with client_of(server_state(eyes=FakeModel())) as client:
        body = row("x")["body"]
        told = await client.post(CHAT, json={**body, "timings": True})
        assert re.match(r"total;dur=\d+\.\d\d", told.headers["server-timing"])
        assert told.json()["timings"]["media_ms"] == {}
        silent = await client.post(CHAT, json=body)
        assert "server-timing" not in silent.headers
        assert "timings" not in silent.json()


@pytest.mark.parametrize("value", [1, "yes", None])
async def test_anything_but_true_and_false_is_refused(value: object) -> None:
    async with client_of(server_state(eyes=FakeModel())) as client:
        answer = await client.post(CHAT, json={**row("x")["body"], "timings": value})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "timings"
