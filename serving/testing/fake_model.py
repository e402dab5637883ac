"""A model without an engine: answers as vLLM's app would, at the pace it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.types import Receive, Scope, Send

from sensorium.serving.models import WorkerReport

__all__ = ["FakeModel"]


class FakeModel:
    """A `ServedModel` whose words, delays and failures a test sets.

    `first_token_seconds` and `token_seconds` pace a stream; `gate`, when given, holds every answer
    until it is set. `received` keeps the bodies that came in, `aborted` counts clients that left.
    `answer` (status, body) is sent instead of a reply when it is set.
    """

    def __init__(
        self,
        reply: str = "one two three",
        *,
        capabilities: frozenset[str] = frozenset({"chat", "completions"}),
        media_limits: Mapping[str, int] | None = None,
        first_token_seconds: float = 0.0,
        token_seconds: float = 0.0,
        gate: asyncio.Event | None = None,
    ) -> None:
        self.app = self._app
        self.at_once = 128
        self.capabilities = capabilities
        self.media_limits: Mapping[str, int] = media_limits or {}
        self.stop_texts: tuple[str, ...] = ()
        self.max_model_len = 1024
        self.root = "fake"
        self.metrics: CollectorRegistry | None = CollectorRegistry()
        self.engine_version = "0"
        self.openapi: Mapping[str, Any] = {"paths": {"/v1/chat/completions": {"post": {}}}}
        self.worker_report = WorkerReport()
        self.reply = reply
        self.first_token_seconds = first_token_seconds
        self.token_seconds = token_seconds
        self.gate = gate
        self.answer: tuple[int, object] | None = None
        self.received: list[bytes] = []
        self.headers: list[tuple[bytes, bytes]] = []
        self.started = asyncio.Event()
        self.aborted = 0
        self.stopped = False
        self.died: str | None = None

    async def report(self) -> WorkerReport:
        """What is set in `worker_report`."""
        return self.worker_report

    def dead(self) -> str | None:
        """The reason set in `died`."""
        return self.died

    async def stop(self) -> None:
        """Remember that the server let go of it."""
        self.stopped = True

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        self.received.append(body)
        self.headers = list(scope["headers"])
        self.started.set()
        answering = asyncio.create_task(self._answer(body, send))
        leaving = asyncio.create_task(self._wait_gone(receive))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                answering.result()
            else:
                self.aborted += 1
        finally:
            for task in (answering, leaving):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    @staticmethod
    async def _wait_gone(receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _answer(self, body: bytes, send: Send) -> None:
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(self.first_token_seconds)
        if self.answer is not None:
            status, content = self.answer
            await _send_json(send, status, content)
        elif b'"stream": true' in body or b'"stream":true' in body:
            await self._stream(send)
        else:
            await _send_json(send, 200, self._completion())

    def _completion(self) -> dict[str, Any]:
        words = len(self.reply.split())
        return {
            "id": "chatcmpl-fake",
            "object": "chat.completion",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": self.reply}}],
            "usage": {"prompt_tokens": 7, "completion_tokens": words, "total_tokens": 7 + words},
        }

    async def _stream(self, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for word in self.reply.split():
            event = {"object": "chat.completion.chunk", "choices": [{"delta": {"content": word}}]}
            data = f"data: {json.dumps(event)}\n\n".encode()
            await send({"type": "http.response.body", "body": data, "more_body": True})
            await asyncio.sleep(self.token_seconds)
        usage = {"object": "chat.completion.chunk", "choices": [], "usage": {"prompt_tokens": 7}}
        data = f"data: {json.dumps(usage)}\n\ndata: [DONE]\n\n".encode()
        await send({"type": "http.response.body", "body": data})


async def _send_json(send: Send, status: int, content: object) -> None:
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
