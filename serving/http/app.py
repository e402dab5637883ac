"""The outer app: identity, authentication, admission, and the way to a model's own app.

request -> x-request-id -> key -> own endpoint? -> answer
                               -> model endpoint: read the body, find the model,
                                  check the media parts, forward to the model's vLLM app
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sensorium.serving.errors import (
    BadRequestError,
    RequestError,
    TooManyRequestsError,
    UnavailableError,
    WrongMethodError,
)
from sensorium.serving.files.file_parts import inline_files
from sensorium.serving.http.body import (
    ClientGoneError,
    form_field,
    parse_json,
    read_body,
    read_chat,
)
from sensorium.serving.http.forward import forward
from sensorium.serving.http.load import BATCH_ROW
from sensorium.serving.http.own import build_own_app
from sensorium.serving.http.request import mend_request
from sensorium.serving.http.state import ServerState
from sensorium.serving.http.turns import room
from sensorium.serving.media.budget import BUDGET, Budget, MediaBudgetError, spend
from sensorium.serving.media.lifted import LIFTED, Lifter
from sensorium.serving.media.origin import AFTERWARDS, FIELD_OF_URL
from sensorium.serving.media.parts import check_chat, only_media
from sensorium.serving.media.times import TIMES, RequestTimes
from sensorium.serving.models import CAPABILITY_OF_ROUTE, MODEL_ROUTES, ServedModel

__all__ = ["SensoriumApp"]

_CHAT = "/v1/chat/completions"
_FORM_ROUTES = frozenset({"/v1/audio/transcriptions", "/v1/audio/translations"})
_RESPONSE_ROUTE = re.compile(r"/v1/responses/[^/]+(/cancel)?$")
_CLIENT_LEFT = 499  # nginx's number for a client that left before the answer began
_LOG = logging.getLogger("sensorium")
_REQUEST_ID = re.compile(r"[!-~]{1,128}")


class SensoriumApp:
    """The ASGI app of the whole server."""

    def __init__(self, state: ServerState) -> None:
        self.state = state
        self._own: ASGIApp = build_own_app(state)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._own(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = _Exchange(scope, send)
        TIMES.set(None)
        task = asyncio.current_task()
        asks = not scope["path"].startswith("/health") and scope["path"] != "/metrics"
        counted = asks and BATCH_ROW not in scope  # the drain does not wait for batches
        if asks:
            self.state.heap.begin()
        if task is not None and counted:
            self.state.running.add(task)
            self.state.metrics.in_flight.inc()
        try:
            await self._answer(exchange, receive)
        except RequestError as error:
            await exchange.fail(error, receive)
        except ClientGoneError:
            pass
        except Exception:  # the boundary: whatever it was, the client gets an answer
            _LOG.exception("request %s failed", exchange.request_id)
            if exchange.complete:
                return  # Starlette raises again after it has answered 500
            if exchange.status != _CLIENT_LEFT:
                raise  # the answer has begun; closing the connection is all that is left
            await exchange.fail(RequestError("Internal server error"), receive)
        finally:
            if asks:
                self.state.heap.end()
            if task is not None and counted:
                self.state.running.discard(task)
                self.state.metrics.in_flight.dec()
                self._record(exchange)

    async def _answer(self, exchange: _Exchange, receive: Receive) -> None:
        path = exchange.scope["path"]
        if BATCH_ROW in exchange.scope:
            await self._ask_model(exchange, receive)
            return
        self.state.keys.check(path, exchange.headers)
        if path in MODEL_ROUTES or _RESPONSE_ROUTE.match(path):
            exchange.route = path if path in MODEL_ROUTES else "/v1/responses/{id}"
            if self.state.draining:
                raise UnavailableError("The server is shutting down; use another instance")
            with self.state.load.request():
                await self._ask_model(exchange, receive)
        else:
            await self._own(exchange.scope, receive, exchange.send)

    async def _ask_model(self, exchange: _Exchange, receive: Receive) -> None:
        path, method = exchange.scope["path"], exchange.scope["method"]
        lifter: Lifter | None = None
        limit = self.state.max_body_bytes
        await room()
        if path == _CHAT:
            body, lifter = await read_chat(receive, exchange.headers, limit)
        else:
            body = await read_body(receive, exchange.headers, limit)
        LIFTED.set(lifter.media if lifter is not None else {})
        # The body may have ended in the same turn as others'.
        await room()
        if path in MODEL_ROUTES:
            if method != "POST":
                raise WrongMethodError(path, method, "POST")
            if path in _FORM_ROUTES:
                name: object = _model_of_form(exchange.headers, body)
                parsed = None
            else:
                parsed = parse_json(body)
                name = parsed.get("model")
                exchange.set_header("content-type", "application/json")
        else:
            parsed, name = None, None
        capability = CAPABILITY_OF_ROUTE.get(path)
        if path not in MODEL_ROUTES:
            capability = "chat"
        exchange.model, model = self.state.models.find(name, capability)
        if lifter is not None and not only_media(parsed, lifter.media):
            body = lifter.restored(body)
            LIFTED.set({})
            parsed = parse_json(body)
        if parsed is not None and await self._prepare(path, parsed, model):
            body = json.dumps(parsed).encode()
        afterwards: list[Callable[[], object]] = []
        AFTERWARDS.set(afterwards)
        try:
            await forward(model.app, exchange.scope, receive, exchange.send, body)
        finally:
            # Emptied: the context that holds the list is held by what the list holds.
            while afterwards:
                afterwards.pop()()

    async def _prepare(self, path: str, body: dict[str, Any], model: ServedModel) -> bool:
        """Check a JSON body and bring it to what vLLM takes, in place; True when it changed."""
        changed = mend_request(path, body)
        if "timings" in body:
            TIMES.set(_times_of(body.pop("timings")))
            changed = True
        if self.state.media is not None:
            BUDGET.set(Budget(self.state.media.limits.request))
        if path != _CHAT:
            return changed
        if self.state.files is not None:
            changed |= await inline_files(body, self.state.files.store)
        checked = check_chat(body, model.media_limits)
        FIELD_OF_URL.set(checked.field_of_url)
        try:
            spend("items", sum(checked.counts.values()))
        except MediaBudgetError as error:
            raise BadRequestError(str(error), param="messages") from None
        if checked.counts and self.state.media is not None and self.state.media.pool.full:
            raise TooManyRequestsError("Too many media wait to be decoded; try again in a moment")
        if model.stop_texts and not body.get("stop"):
            body["stop"] = list(model.stop_texts)
            changed = True
        return changed or checked.changed

    def _record(self, exchange: _Exchange) -> None:
        labels = (exchange.route, exchange.model)
        self.state.metrics.requests.labels(*labels, str(exchange.status)).inc()
        self.state.metrics.seconds.labels(*labels).observe(time.perf_counter() - exchange.started)


class _Exchange:
    """One request and its answer: the id both carry, and what the metrics want to know."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.started = time.perf_counter()
        given = Headers(scope=scope).get("x-request-id", "")
        self.request_id = given if _REQUEST_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"
        self.scope = {**scope, "headers": list(scope["headers"])}
        self.set_header("x-request-id", self.request_id)
        self.headers = Headers(scope=self.scope)
        self.route = "/v1/models" if scope["path"].startswith("/v1/models") else "other"
        self.model = ""
        self.status = _CLIENT_LEFT
        self.complete = False
        self._send = send

    def set_header(self, name: str, value: str) -> None:
        """Set a header of the request, for the apps further in."""
        MutableHeaders(raw=self.scope["headers"])[name] = value

    async def send(self, message: Message) -> None:
        """Pass on what the app further in answers, with the request's id."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=list(message["headers"]))
            headers["x-request-id"] = self.request_id
            if (times := TIMES.get()) is not None:
                headers["server-timing"] = times.header()
            message = {**message, "headers": headers.raw}
        else:
            await room()
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.complete = True

    async def fail(self, error: RequestError, receive: Receive) -> None:
        """Answer an error that was raised before the model's app began to answer."""
        response = JSONResponse(error.body(), error.status, headers=error.headers)
        await response(self.scope, receive, self.send)


def _times_of(asked: object) -> RequestTimes | None:
    if not isinstance(asked, bool):
        raise BadRequestError(
            f"`timings` must be true or false, got {str(asked)[:40]!r}", param="timings"
        )
    return RequestTimes() if asked else None


def _model_of_form(headers: Headers, body: bytes) -> str | None:
    if not headers.get("content-type", "").startswith("multipart/form-data"):
        raise BadRequestError(
            "This endpoint takes multipart/form-data with a `file` and a `model` field; "
            f"got {headers.get('content-type') or 'no content-type'!r}"
        )
    return form_field(body, "model")
