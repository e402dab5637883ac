"""How long the event loop is held up, and that large pictures do not hold it up."""

from __future__ import annotations

import asyncio
import base64
import gc
import io
import json
import threading
import time
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from starlette.types import Message, Receive, Scope, Send

from sensorium.serving.http.app import SensoriumApp
from sensorium.serving.http.body import replay
from sensorium.serving.http.loop_lag import watched_loop
from sensorium.serving.http.metrics import exposition
from sensorium.serving.media.lifted import lifted_of
from sensorium.serving.media.pipeline import MediaPipeline
from sensorium.serving.media.pool import PoolOptions
from sensorium.serving.media.prepared import Recipe
from sensorium.serving.testing.fake_model import FakeModel
from tests.serving.http.conftest import server_state

pytest.importorskip("torch", reason="an engine extra brings it")
# The longest turn of the loop that is allowed: twice the aim of 10 ms, as the processors of a test
# machine may be slow; 4 to 7 ms were measured.
LONGEST = 0.020


@pytest.fixture(autouse=True)
def frozen() -> Iterator[None]:
    """As the server does once it has loaded: a collection would look at all that pytest holds."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def test_a_turn_is_told_of() -> None:
    """One that waits, by the clock only; one that works, by the thread's CPU time too."""
    turns: list[float] = []
    worked: list[float] = []

    async def scene() -> None:
        await asyncio.sleep(0.01)
        time.sleep(0.03)  # noqa: ASYNC251 (that is what is measured)
        await asyncio.sleep(0.01)
        assert max(turns) >= 0.03
        assert max(worked, default=0) < 0.03
        work(0.03)
        await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=lambda: watched_loop(turns.append, worked.append)) as runner:
        runner.run(scene())
    assert max(worked) >= 0.03


def cpu_turns(turns: list[float]) -> asyncio.Runner:
    """Runs on a loop that tells of its turns' CPU time: a busy machine does not make it more."""
    return asyncio.Runner(loop_factory=lambda: watched_loop(lambda _: None, turns.append))


def work(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


class BusyModel(FakeModel):
    """Takes its time over the beginning of a request, as vLLM's app does."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        work(self.seconds)
        await super()._app(scope, receive, send)


async def ask(app: SensoriumApp, sent: list[Message]) -> None:
    """A request without a server or a client, whose work would be in the same turns."""
    body = b'{"model": "busy", "messages": [{"role": "user", "content": "Hello"}]}'

    async def stay() -> Message:
        raise await asyncio.Future()

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": []}
    await app(scope, replay(body, stay), send)


def test_requests_that_come_at_once_begin_in_many_turns() -> None:
    """32 that take 3 ms each would make a turn of 96."""
    turns: list[float] = []
    sent: list[Message] = []
    app = SensoriumApp(server_state(busy=BusyModel(0.003)))

    async def scene() -> None:
        await ask(app, sent)
        turns.clear()
        await asyncio.gather(*(ask(app, sent) for _ in range(32)))

    with cpu_turns(turns) as runner:
        runner.run(scene())
    assert [m["status"] for m in sent if m["type"] == "http.response.start"] == [200] * 33
    assert sum(turn >= 0.003 for turn in turns) >= 16
    assert max(turns) < LONGEST


def test_a_scrape_of_many_metrics_takes_many_turns() -> None:
    turns: list[float] = []
    registry = CollectorRegistry()
    for number in range(400):
        Histogram(f"h{number}", "One of many", registry=registry).observe(1)
    began = time.thread_time()
    generate_latest(registry)
    whole = time.thread_time() - began

    with cpu_turns(turns) as runner:
        runner.run(exposition([registry]))
    assert whole > 0.01
    assert max(turns) < whole / 3


class LookingModel(FakeModel):
    """Has the request's picture prepared before it answers, as vLLM's app does."""

    def __init__(self, pipeline: MediaPipeline) -> None:
        super().__init__(media_limits={"image": 1})
        self.pipeline = pipeline
        self.sizes: list[tuple[int, int]] = []

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        (part,) = json.loads(message["body"])["messages"][0]["content"]
        medium = lifted_of(part["image_url"]["url"])
        assert medium is not None
        content = await asyncio.to_thread(medium.content)
        self.sizes.append((await self.pipeline.picture(content, Recipe())).size)
        await super()._app(scope, replay(message["body"], receive), send)


def photo(seed: int) -> bytes:
    """A JPEG file of some 6 MB."""
    noise = np.random.default_rng(seed).integers(0, 256, (2400, 3200, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def post(url: str, content: bytes) -> None:
    picture = f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
    parts = [{"type": "image_url", "image_url": {"url": picture}}]
    body = {"model": "eyes", "messages": [{"role": "user", "content": parts}]}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=120)
    assert answer.status_code == 200, answer.text


def test_large_pictures_do_not_hold_it_up(capsys: pytest.CaptureFixture[str]) -> None:
    """In CPU time of the loop's thread, so that a busy machine does not fail it."""
    turns: list[float] = []
    pipeline = MediaPipeline(options=PoolOptions(workers=2, seconds=60))
    pipeline.start()
    model = LookingModel(pipeline)
    state = server_state(eyes=model)
    state.media = pipeline
    config = uvicorn.Config(SensoriumApp(state), port=0, lifespan="off", log_level="error")
    server = uvicorn.Server(config)

    def serve() -> None:
        with cpu_turns(turns) as runner:
            runner.run(server.serve())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        photos = [photo(seed) for seed in range(4)]
        post(url, photos[0])
        turns.clear()
        senders = [threading.Thread(target=post, args=(url, photo)) for photo in photos * 2]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
    finally:
        server.should_exit = True
        thread.join()
        pipeline.close()
    assert model.sizes == [(3200, 2400)] * 9
    longest = max(turns, default=0.0)
    with capsys.disabled():
        size = len(photos[0]) / 1e6
        print(
            f"\n8 pictures of {size:.1f} MB: longest turn of the loop {1000 * longest:.1f} ms CPU"
        )
    assert longest < LONGEST
