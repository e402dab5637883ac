"""Sends one prepared request and times its answer; every way it can fail has a kind."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp

from sensorium.benchmarks.client.events import (
    EventSplitter,
    ServerSaidError,
    Usage,
    read_event,
    read_usage,
)
from sensorium.benchmarks.client.request import PreparedRequest
from sensorium.benchmarks.measure.record import RequestRecord
from sensorium.serving.client import LOOPBACK

__all__ = ["HttpClient", "open_http"]

# uvicorn drops idle connections after five seconds; a request sent into that would be lost.
_KEEP_ALIVE = 4.0
_READ_BUFFER = 1 << 20


class HttpClient:
    """Sends requests to one server; safe to use from many tasks of one event loop."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(self, request: PreparedRequest, record: RequestRecord, zero: float) -> None:
        """Send and fill in `record`, with times in seconds since `zero`.

        Never raises for what the server does: that becomes `record.error`.
        """
        record.media = request.media
        record.bytes_up = len(request.body)
        record.streamed = request.streams
        record.sent = time.perf_counter() - zero
        try:
            await self._exchange(request, record, zero)
        except TimeoutError:
            _fail(record, "timeout", "no answer in time")
        except aiohttp.ClientConnectorError as error:
            _fail(record, "connect", str(error))
        except (aiohttp.ClientError, ConnectionError) as error:
            _fail(record, "disconnect", str(error) or type(error).__name__)
        except ServerSaidError as error:
            _fail(record, "error_event", str(error))
        except ValueError as error:
            _fail(record, "bad_answer", str(error))
        finally:
            record.ended = time.perf_counter() - zero

    async def _exchange(self, request: PreparedRequest, record: RequestRecord, zero: float) -> None:
        headers = {"Content-Type": request.content_type}
        async with self._session.post(request.path, data=request.body, headers=headers) as response:
            if response.status != 200:
                _fail(record, f"http_{response.status}", (await response.text())[:300])
            elif request.streams and response.content_type == "text/event-stream":
                await _read_stream(response, record, zero)
            else:
                record.streamed = False
                answer = json.loads(await response.read())
                if isinstance(answer, dict):
                    _count(record, read_usage(answer))


async def _read_stream(
    response: aiohttp.ClientResponse, record: RequestRecord, zero: float
) -> None:
    splitter = EventSplitter()
    done = False
    async for piece in response.content.iter_any():
        now = time.perf_counter() - zero
        for data in splitter.feed(piece):
            event = read_event(data)
            done = done or event.ends
            if event.carries_text:
                record.events.append(now)
            _count(record, event.usage)
    if not done:
        _fail(record, "disconnect", "the stream broke off before its last event")


def _count(record: RequestRecord, usage: Usage | None) -> None:
    if usage is not None:
        record.input_tokens = usage.input_tokens
        record.output_tokens = usage.output_tokens
        record.cached_tokens = usage.cached_tokens
        record.media_tokens = usage.media_tokens


def _fail(record: RequestRecord, kind: str, detail: str) -> None:
    record.error = kind
    record.detail = detail


@asynccontextmanager
async def open_http(
    root: str, api_key: str | None, timeout_seconds: float
) -> AsyncIterator[HttpClient]:
    """A client for the server at `root` (without /v1), with no limit on connections."""
    headers = {"Accept-Encoding": "identity"}
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    host = urlsplit(root).hostname
    async with aiohttp.ClientSession(
        base_url=root,
        headers=headers,
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE),
        timeout=aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=30),
        read_bufsize=_READ_BUFFER,
        trust_env=host not in LOOPBACK,
    ) as session:
        yield HttpClient(session)
        # Connections close in callbacks of their own; without a turn of the loop Python warns.
        await asyncio.sleep(0)
