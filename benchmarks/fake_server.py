"""A server with set delays and faults instead of a model, to test load generators with.

    python -P -m sensorium.benchmarks.fake_server --first-ms 50 --gap-ms 10 --tokens 16

It answers as OpenAI's API does and keeps, for each request, when it came and when each token was
really sent (`GET /fake/log`): timers of a busy machine are late, and a client must not be blamed
for that.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

__all__ = ["Answered", "FakeServer", "Pace", "running"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
_JSON = [(b"content-type", b"application/json")]
_EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8")]
_UNARY = {"/v1/embeddings", "/v1/files"}


@dataclass(frozen=True)
class Pace:
    """How the server answers. Delays are seconds: mean and, gamma distributed, deviation.

    For `stall_seconds` from `stall_at` (since the first request) nothing is sent. `fail` and
    `break_off` are the shares of requests answered with 429, and cut after their second token.
    """

    first: float = 0.05
    first_deviation: float = 0.0
    gap: float = 0.01
    gap_deviation: float = 0.0
    tokens: int = 16
    stall_at: float = 0.0
    stall_seconds: float = 0.0
    fail: float = 0.0
    break_off: float = 0.0
    seed: int = 0


@dataclass
class Answered:
    """A request as the server saw it, on `time.perf_counter`."""

    path: str
    query: str
    received: float
    size: int
    sent: list[float] = field(default_factory=list)
    fate: str = "answered"


class FakeServer:
    """The ASGI app; `log` has every request that came to an endpoint of a model."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.log: list[Answered] = []
        self._random = random.Random(pace.seed)
        self._began: float | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        received = time.perf_counter()
        body = await _body(receive)
        path = scope["path"]
        if scope["method"] != "POST":
            await _answer(send, 200, self._own(path))
            return
        if self._began is None:
            self._began = received
        entry = Answered(path, scope["query_string"].decode(), received, len(body))
        self.log.append(entry)
        if self._random.random() < self.pace.fail:
            entry.fate = "failed"
            await _answer(send, 429, {"error": {"message": "made to fail"}})
        elif path not in _UNARY and _streams(body):
            await self._stream(entry, send)
        else:
            await self._whole(entry, send)

    def _own(self, path: str) -> Any:
        if path == "/fake/log":
            return [vars(entry) for entry in self.log]
        if path == "/v1/models":
            return {"data": [{"id": "fake", "object": "model"}]}
        return {}

    async def _stream(self, entry: Answered, send: Send) -> None:
        breaks = self._random.random() < self.pace.break_off
        await send({"type": "http.response.start", "status": 200, "headers": _EVENTS})
        due = entry.received + self._draw(self.pace.first, self.pace.first_deviation)
        for number in range(self.pace.tokens):
            await self._wait(due)
            choice = {"index": 0, "delta": {"content": "word "}, "text": "word "}
            await _event(send, {"choices": [choice]})
            entry.sent.append(time.perf_counter())
            due = entry.sent[-1] + self._draw(self.pace.gap, self.pace.gap_deviation)
            if breaks and number == 1:
                entry.fate = "broken"
                raise ConnectionAbortedError("made to break")
        await _event(send, {"choices": [], "usage": self._usage()})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})

    async def _whole(self, entry: Answered, send: Send) -> None:
        gaps = (self.pace.tokens - 1) * self.pace.gap
        await self._wait(entry.received + self._draw(self.pace.first, self.pace.first_deviation))
        if entry.path not in _UNARY:
            await asyncio.sleep(gaps)
        entry.sent.append(time.perf_counter())
        await _answer(send, 200, {"id": "file-1", "text": "word", "usage": self._usage()})

    def _usage(self) -> dict[str, Any]:
        return {
            "prompt_tokens": 7,
            "completion_tokens": self.pace.tokens,
            "prompt_tokens_details": {"image_tokens": 3, "cached_tokens": 2},
        }

    def _draw(self, mean: float, deviation: float) -> float:
        if deviation <= 0 or mean <= 0:
            return mean
        shape = (mean / deviation) ** 2
        return self._random.gammavariate(shape, mean / shape)

    async def _wait(self, due: float) -> None:
        """Until `due`, or the end of the stall if that is later."""
        now = time.perf_counter()
        began = (self._began or now) + self.pace.stall_at
        ends = began + self.pace.stall_seconds
        if began <= max(now, due) < ends:
            due = ends
        if due > now:
            await asyncio.sleep(due - now)


def _streams(body: bytes) -> bool:
    return b'"stream": true' in body or b'"stream":true' in body or b'name="stream"' in body


async def _body(receive: Receive) -> bytes:
    pieces = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(pieces)


async def _answer(send: Send, status: int, content: Any) -> None:
    body = json.dumps(content).encode()
    headers = [*_JSON, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _event(send: Send, content: Any) -> None:
    data = b"data: " + json.dumps(content).encode() + b"\n\n"
    await send({"type": "http.response.body", "body": data, "more_body": True})


@asynccontextmanager
async def running(server: FakeServer, port: int = 0) -> AsyncIterator[str]:
    """Serve in this event loop, on a free port if none is given; gives the address."""
    listener = socket.create_server(("127.0.0.1", port), backlog=2048)
    http = _http(server)
    task = asyncio.create_task(http.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        http.should_exit = True
        await task


class _Http(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        """Leave the signals to whoever started us."""
        yield


def _http(server: FakeServer) -> uvicorn.Server:
    # A stream that is made to break is an exception for uvicorn; nobody needs its traceback.
    config = uvicorn.Config(
        server,
        log_level="critical",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    return _Http(config)


async def _main(pace: Pace, port: int) -> None:
    async with running(FakeServer(pace), port) as address:
        print(address, flush=True)
        await asyncio.Event().wait()


def main(arguments: list[str]) -> None:
    """Serve until killed; the address is the first line printed."""
    parser = argparse.ArgumentParser(prog="fake_server", description=__doc__)
    for name in ("first", "first-deviation", "gap", "gap-deviation"):
        parser.add_argument(f"--{name}-ms", type=float, default=0.0)
    for name in ("stall-at", "stall-seconds", "fail", "break-off"):
        parser.add_argument(f"--{name}", type=float, default=0.0)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--port", type=int, default=0)
    values = vars(parser.parse_args(arguments))
    port = values.pop("port")
    settings = {
        name.removesuffix("_ms"): value / 1000 if name.endswith("_ms") else value
        for name, value in values.items()
    }
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(Pace(**settings), port))


if __name__ == "__main__":
    main(sys.argv[1:])
