"""No request to any route ends an engine or the server, whatever it pretends to be."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.kit.hostile import HOSTILE
from tests.kit.live_server import LiveServer

pytestmark = pytest.mark.engine


@pytest.mark.parametrize(("route", "body"), HOSTILE)
def test_no_route_ends_the_engine(server: LiveServer, route: str, body: Any) -> None:
    answer = httpx.post(server.url + route, json={"model": "demo", **body}, timeout=60)
    assert answer.status_code in {200, 400, 404}, answer.text
    if answer.status_code != 200:
        assert answer.json()["error"]["message"]
    question = [{"role": "user", "content": "Hello"}]
    hello = {"model": "demo", "messages": question, "max_tokens": 2}
    after = httpx.post(f"{server.url}/v1/chat/completions", json=hello, timeout=60)
    assert after.status_code == 200, after.text
