"""The media path through the real server: worker processes, the cache, the metrics."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import openai
import pytest
from PIL import Image

from tests.engine.conftest import COMPOSED, NAMED
from tests.kit.live_server import LiveServer
from tests.kit.media import BLUE, GREEN, circle, data_url, image_url, moving_circle
from tests.kit.scrape import scrape

pytestmark = pytest.mark.engine


def ask(client: openai.OpenAI, picture: Image.Image, model: str = "demo") -> str:
    parts: list[Any] = [
        {"type": "image_url", "image_url": {"url": image_url(picture)}},
        {"type": "text", "text": "What is in the picture?"},
    ]
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": parts}],
        temperature=0,
        max_tokens=64,
    )
    return answer.choices[0].message.content or ""


def items(server: LiveServer, outcome: str, media: str = "image") -> float:
    return scrape(server.url, "sensorium_media_items_total", media_type=media, outcome=outcome)


def test_a_repeated_picture_is_prepared_once(
    server: LiveServer, demo_client: openai.OpenAI
) -> None:
    prepared, cached = items(server, "prepared"), items(server, "cached")
    picture = circle(GREEN, size=(451, 259))  # like no other test's
    answers = [ask(demo_client, picture) for _ in range(3)]
    assert len(set(answers)) == 1
    assert "green" in answers[0].lower()
    assert (items(server, "prepared"), items(server, "cached")) == (prepared + 1, cached + 2)


def test_a_picture_for_three_models_is_kept_as_it_was_decoded(
    server: LiveServer, demo_client: openai.OpenAI
) -> None:
    before = {name: items(server, name) for name in ("prepared", "decoded")}
    for model in (NAMED, COMPOSED, "demo"):
        answer = ask(demo_client, circle(GREEN, size=(455, 255)), model)
    assert "green" in answer.lower()
    after = {name: items(server, name) for name in ("prepared", "decoded")}
    assert after == {"prepared": before["prepared"] + 1, "decoded": before["decoded"] + 2}


def test_videos_are_decoded_by_workers_and_kept(
    server: LiveServer, demo_client: openai.OpenAI
) -> None:
    url = data_url("video/mp4", moving_circle(GREEN, seconds=2.5, rate=6))
    parts: list[Any] = [
        {"type": "video_url", "video_url": {"url": url}},
        {"type": "text", "text": "What is in the video?"},
    ]
    before = {name: items(server, name, "video") for name in ("prepared", "cached")}
    for _ in range(2):
        answer = demo_client.chat.completions.create(
            model="demo", messages=[{"role": "user", "content": parts}], temperature=0
        )
        assert "green" in (answer.choices[0].message.content or "").lower()
    after = {name: items(server, name, "video") for name in ("prepared", "cached")}
    assert after == {name: count + 1 for name, count in before.items()}


def test_the_tower_is_timed(server: LiveServer) -> None:
    """In the metrics, and in the answer of a request that asks, streamed or not."""

    def encoded() -> float:
        name = "sensorium_mm_media_encode_latency_seconds_count"
        return scrape(server.url, name, model="demo", media_type="image")

    def asked(width: int, stream: bool) -> dict[str, Any]:
        picture = {"type": "image_url", "image_url": {"url": image_url(circle(BLUE, (width, 259)))}}
        body: dict[str, Any] = {
            "model": "demo",
            "messages": [{"role": "user", "content": [picture]}],
            "max_tokens": 4,
            "timings": True,
        }
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)
        last = answer.text.split("data: ")[-2] if stream else answer.text
        timings: dict[str, Any] = json.loads(last)["timings"]
        assert stream or ("media-encode" in answer.headers["server-timing"]) == (
            "encode" in timings["media_ms"]
        )
        return timings

    before = encoded()
    for width, stream in ((471, False), (472, True)):
        timings = asked(width, stream)
        assert 0 < timings["media_ms"]["encode"] < timings["time_to_first_token_ms"]
    assert encoded() == before + 2
    # The engine keeps what it made of a picture.
    assert "encode" not in asked(471, False)["media_ms"]
    assert encoded() == before + 2


def test_stages_are_timed(server: LiveServer, demo_client: openai.OpenAI) -> None:
    ask(demo_client, circle(BLUE, size=(453, 257)))
    text = httpx.get(f"{server.url}/metrics").text
    for stage in ("queue", "decode", "preprocess"):
        assert f'sensorium_mm_media_{stage}_latency_seconds_count{{media_type="image"}}' in text
    for whole in ("resolve_items", "preprocessing_total"):
        count = re.search(rf"^sensorium_mm_{whole}_latency_seconds_count (\S+)$", text, re.M)
        assert count is not None
        assert float(count[1]) >= 1
