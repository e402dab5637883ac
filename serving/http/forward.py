"""Hand a request to a model's own ASGI app and translate the answer on its way out."""

from __future__ import annotations

import json

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sensorium.serving.errors import RequestError
from sensorium.serving.http.body import replay
from sensorium.serving.http.translate import translate_error, translate_event, translate_success
from sensorium.serving.media.times import TIMES

__all__ = ["forward"]


async def forward(app: ASGIApp, scope: Scope, receive: Receive, send: Send, body: bytes) -> None:
    """Run `app` on a request whose body has been read; `receive` still tells when a client goes.

    The scope is copied: the inner app writes its own state into it. A request that has asked for
    its times (`TIMES`) gets them with the answer.
    """
    headers = MutableHeaders(
        raw=[pair for pair in scope["headers"] if pair[0] != b"content-length"]
    )
    headers["content-length"] = str(len(body))
    inner_scope = {**scope, "headers": headers.raw}
    translator = _Translator(send)
    try:
        await app(inner_scope, replay(body, receive), translator)
    except Exception:
        await translator.break_off()
        raise


class _Translator:
    """A `send` that rewrites errors, usage and events as they pass."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._times = TIMES.get()
        self._start: Message | None = None
        self._held: list[bytes] = []
        self._events = False
        self._ended = False
        self._rest = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif message["type"] == "http.response.body":
            await self._continue(message)
        else:
            await self._send(message)

    async def _begin(self, message: Message) -> None:
        kind = MutableHeaders(raw=list(message["headers"])).get("content-type", "")
        self._events = message["status"] < 400 and kind.startswith("text/event-stream")
        if self._events:
            await self._send(message)
        elif message["status"] >= 400 or kind.startswith("application/json"):
            self._start = message
        else:
            await self._send(message)

    async def _continue(self, message: Message) -> None:
        chunk, more = message.get("body", b""), message.get("more_body", False)
        self._ended = not more
        if self._events:
            if self._times is not None and b'"usage"' in chunk:
                await self._times.complete()
            await self._send({**message, "body": self._translate_events(chunk, more)})
        elif self._start is not None:
            self._held.append(chunk)
            if not more:
                await self._finish(self._start, b"".join(self._held))
        else:
            await self._send(message)

    async def break_off(self) -> None:
        """End a stream whose app has failed with an error, so that it does not just break."""
        if self._events and not self._ended:
            error = RequestError("The server failed while it was answering").body()
            event = b"data: " + json.dumps(error).encode() + b"\n\n"
            await self._send({"type": "http.response.body", "body": event})

    def _translate_events(self, chunk: bytes, more: bool) -> bytes:
        # Events end with a blank line; vLLM sends whole ones, but nothing promises that.
        whole, end, rest = (self._rest + chunk).rpartition(b"\n\n")
        self._rest = rest
        if not more:
            whole, end, self._rest = whole + end + rest, b"", b""
        events = _split_events(whole + end)
        return b"".join(translate_event(event, self._times) for event in events)

    async def _finish(self, start: Message, body: bytes) -> None:
        status = start["status"]
        headers = MutableHeaders(raw=list(start["headers"]))
        if status >= 400:
            status, body = translate_error(status, body)
            headers["content-type"] = "application/json"
            if status in {429, 503} and "retry-after" not in headers:
                headers["retry-after"] = "1"
        else:
            if self._times is not None:
                await self._times.complete()
            body = translate_success(body, self._times)
        headers["content-length"] = str(len(body))
        await self._send({**start, "status": status, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": body})


def _split_events(data: bytes) -> list[bytes]:
    return [event + b"\n\n" for event in data.split(b"\n\n") if event]
