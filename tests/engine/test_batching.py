"""Requests really run together, caches are really hit, and a client that leaves frees its place."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from tests.kit.live_server import LiveServer
from tests.kit.media import GREEN, circle, image_url
from tests.kit.scrape import scrape

pytestmark = pytest.mark.engine

LONG: Any = {"ignore_eos": True}


def long_answer(client: openai.OpenAI, number: int, tokens: int = 600) -> int:
    answer = client.chat.completions.create(
        model="demo",
        messages=[{"role": "user", "content": f"Hello number {number}"}],
        max_completion_tokens=tokens,
        extra_body=LONG,
    )
    assert answer.usage is not None
    return answer.usage.completion_tokens


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)  # polling another process


def test_parallel_requests_run_in_one_batch(server: LiveServer, demo_client: openai.OpenAI) -> None:
    def running() -> float:
        return scrape(server.url, "vllm:num_requests_running", model_name="demo")

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(long_answer, demo_client, number) for number in range(8)]
        most = 0.0
        while not all(answer.done() for answer in answers):
            most = max(most, running())
    assert [answer.result() for answer in answers] == [600] * 8
    assert most > 1


def test_a_shared_prefix_is_computed_once(server: LiveServer, demo_client: openai.OpenAI) -> None:
    def hits() -> float:
        return scrape(server.url, "vllm:prefix_cache_hits_total", model_name="demo")

    before = hits()
    prefix = "You see a picture of a circle and a square. " * 12
    for question in ("What color is it?", "Where is it?"):
        answer = demo_client.chat.completions.create(
            model="demo", messages=[{"role": "user", "content": prefix + question}]
        )
    assert hits() > before
    assert answer.usage is not None and answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens


def test_a_repeated_image_hits_the_cache(server: LiveServer, demo_client: openai.OpenAI) -> None:
    def hits() -> float:
        return scrape(server.url, "vllm:mm_cache_hits_total", model_name="demo")

    url = image_url(circle(GREEN, at=(0.31, 0.42)))
    content: Any = [{"type": "image_url", "image_url": {"url": url}}]
    before = hits()
    for question in ("Where is the circle?", "What color is the circle?"):
        demo_client.chat.completions.create(
            model="demo",
            messages=[{"role": "user", "content": [*content, {"type": "text", "text": question}]}],
        )
    assert hits() > before


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_its_request(server: LiveServer, stream: bool) -> None:
    def running() -> float:
        return scrape(server.url, "vllm:num_requests_running", model_name="demo")

    wait_until(lambda: running() == 0)
    body = {
        "model": "demo",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_completion_tokens": 4000,
        "ignore_eos": True,
        "stream": stream,
    }
    client = httpx.Client(timeout=60)
    with ThreadPoolExecutor(1) as pool:

        def leave_early() -> None:
            try:
                with client.stream(
                    "POST", f"{server.url}/v1/chat/completions", json=body
                ) as answer:
                    for _ in answer.iter_raw():
                        pass
            except httpx.TransportError:
                pass

        left = pool.submit(leave_early)
        wait_until(lambda: running() == 1)
        before = scrape(server.url, "vllm:generation_tokens_total", model_name="demo")
        _close_connections(client)
        wait_until(lambda: running() == 0, seconds=5)
        after = scrape(server.url, "vllm:generation_tokens_total", model_name="demo")
        left.cancel()
    assert after - before < 3000


def _close_connections(client: httpx.Client) -> None:
    """Close the sockets under a request that another thread is reading."""
    import socket

    pool: Any = client._transport
    for connection in pool._pool.connections:
        stream = connection._connection._network_stream
        stream._sock.shutdown(socket.SHUT_RDWR)
