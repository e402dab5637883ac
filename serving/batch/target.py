"""Where rows are sent: an HTTP server, or the server's own app in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sensorium.serving.errors import UserError

if TYPE_CHECKING:
    import httpx
    from starlette.types import ASGIApp, Message, Scope

__all__ = ["BrokenOffError", "Reply", "Target", "UnreachableError", "app_target", "url_target"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_CONNECT_SECONDS = 10.0
_INFLIGHT = 128


class UnreachableError(Exception):
    """Nothing took the connection: says nothing about the row."""


class BrokenOffError(Exception):
    """The connection ended before the answer did: may well be the row's doing."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came."""

    status: int
    body: bytes
    request_id: str | None = None
    retry_after: float | None = None


class Target:
    """Sends requests; `dead` tells why no request will ever be answered, where that is known.

    `inflight` is how many of them at once keep it busy.
    """

    def __init__(
        self, client: httpx.AsyncClient, dead: Callable[[], str | None], inflight: int
    ) -> None:
        self.client = client
        self.dead = dead
        self.inflight = inflight

    async def send(
        self, url: str, content: bytes, content_type: str, *, seconds: float | None = None
    ) -> Reply:
        """Post a body; raises UnreachableError or BrokenOffError instead of httpx's errors."""
        import httpx

        headers = {"content-type": content_type}
        try:
            async with asyncio.timeout(seconds):
                answer = await self.client.post(url, content=content, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise UnreachableError(_reason(error)) from None
        except TimeoutError:
            raise BrokenOffError(f"no answer within {seconds:g} s") from None
        except httpx.HTTPError as error:
            raise BrokenOffError(_reason(error)) from None
        given = answer.headers
        return Reply(
            answer.status_code, answer.content, given.get("x-request-id"), _retry_after(given)
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self.client.aclose()


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _retry_after(headers: Mapping[str, str]) -> float | None:
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return min(300.0, max(0.0, float(headers[name]) * scale))
        except (KeyError, ValueError):
            continue
    return None


def url_target(url: str, api_key: str | None, inflight: int | None = None) -> Target:
    """A server over HTTP, given with or without the final /v1; UserError for what is no URL."""
    import httpx

    inflight = inflight or _INFLIGHT
    root = url.rstrip("/").removesuffix("/v1")
    try:
        host = httpx.URL(root).host
    except httpx.InvalidURL as error:
        raise UserError(f"--url {url}: {error}") from None
    if not root.startswith(("http://", "https://")) or not host:
        raise UserError(f"--url {url}: it must look like http://127.0.0.1:8000")
    client = httpx.AsyncClient(
        base_url=root,
        headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
        timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),
        limits=httpx.Limits(max_connections=inflight, max_keepalive_connections=inflight),
        trust_env=host not in LOOPBACK,
    )
    return Target(client, lambda: None, inflight)


class _AppTarget(Target):
    """Calls an ASGI app directly: half of what httpx costs for a small request is saved."""

    def __init__(self, app: ASGIApp, dead: Callable[[], str | None], inflight: int) -> None:
        self._app = app
        self.dead = dead
        self.inflight = inflight

    async def send(
        self, url: str, content: bytes, content_type: str, *, seconds: float | None = None
    ) -> Reply:
        """As `Target.send`; an app that raises has broken off."""
        exchange = _Exchange(content)
        headers = [
            (b"host", b"batch"),
            (b"content-type", content_type.encode()),
            (b"content-length", b"%d" % len(content)),
        ]
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": url,
            "raw_path": url.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": None,
            "server": ("batch", 80),
        }
        try:
            async with asyncio.timeout(seconds):
                await self._app(scope, exchange.receive, exchange.send)
        except TimeoutError:
            raise BrokenOffError(f"no answer within {seconds} s") from None
        except Exception as error:
            if not exchange.complete:
                raise BrokenOffError(_reason(error)) from error
        if not exchange.complete:
            raise BrokenOffError("the answer has no end")
        return exchange.reply()

    async def close(self) -> None:
        """Nothing is held."""


class _Exchange:
    """One request and its answer, in memory."""

    def __init__(self, content: bytes) -> None:
        self._content: bytes | None = content
        self._status = 500
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self.complete = False

    async def receive(self) -> Message:
        """The request at first; after that it never ends, since nobody leaves."""
        if self._content is None:
            await asyncio.get_running_loop().create_future()
        content, self._content = self._content, None
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(self, message: Message) -> None:
        """Collect the answer."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in message["headers"]
            }
        elif message["type"] == "http.response.body":
            self._body.append(message.get("body", b""))
            self.complete = not message.get("more_body", False)

    def reply(self) -> Reply:
        """What came."""
        body, given = b"".join(self._body), self._headers
        return Reply(self._status, body, given.get("x-request-id"), _retry_after(given))


def app_target(app: ASGIApp, dead: Callable[[], str | None], inflight: int = _INFLIGHT) -> Target:
    """An ASGI app in this process: the same routes, errors and usage as over HTTP."""
    return _AppTarget(app, dead, inflight)
