"""No request to any route ends an engine or the server, whatever it pretends to be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.engine.conftest import NAMED
from tests.kit.fuzz import SpoiltFile, spoil_files
from tests.kit.hostile import HOSTILE
from tests.kit.live_server import LiveServer
from tests.kit.media import data_url
from tests.kit.scrape import scrape

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("model", ["demo", NAMED])
@pytest.mark.parametrize(("route", "body"), HOSTILE)
def test_no_route_ends_the_engine(server: LiveServer, route: str, body: Any, model: str) -> None:
    answer = httpx.post(server.url + route, json={"model": model, **body}, timeout=60)
    assert answer.status_code in {200, 400, 404}, answer.text
    if answer.status_code != 200:
        assert answer.json()["error"]["message"]
    question = [{"role": "user", "content": "Hello"}]
    hello = {"model": model, "messages": question, "max_tokens": 2}
    after = httpx.post(f"{server.url}/v1/chat/completions", json=hello, timeout=60)
    assert after.status_code == 200, after.text


def test_spoilt_media_are_a_clients_mistake(server: LiveServer) -> None:
    def ask(file: SpoiltFile) -> httpx.Response:
        part = f"{file.kind}_url"
        # The declared type is not looked at.
        url = data_url(f"{file.kind}/png", file.content)
        content = [{"type": part, part: {"url": url}}, {"type": "text", "text": "What is it?"}]
        body = {"messages": [{"role": "user", "content": content}], "max_tokens": 1}
        chat = f"{server.url}/v1/chat/completions"
        return httpx.post(chat, json={"model": "demo", **body}, timeout=120)

    replaced = scrape(server.url, "sensorium_media_workers_replaced")
    files = spoil_files(90, seed=3)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, files))
    for file, answer in zip(files, answers, strict=True):
        assert answer.status_code in {200, 400}, (file.form, answer.text)
        if answer.status_code == 400:
            assert file.kind in answer.json()["error"]["message"]
    for kind in ("image", "audio", "video"):
        of_kind = [place for place, file in enumerate(files) if file.kind == kind]
        assert {answers[place].status_code for place in of_kind} == {200, 400}, kind
    assert scrape(server.url, "sensorium_media_workers_replaced") == replaced
    assert scrape(server.url, "sensorium_media_waiting") == 0
