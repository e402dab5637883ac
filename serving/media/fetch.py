"""Fetch media over HTTP from addresses that have been checked, within bytes and time.

The name is resolved once and the connection goes to the address that was checked, so that a name
which answers differently the second time (DNS rebinding) gains nothing. Redirects are followed by
hand, each checked like the first address.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import httpx

from sensorium.serving.media.addresses import refusal
from sensorium.serving.media.budget import spend
from sensorium.serving.media.content import Content, joined

__all__ = [
    "FetchPolicy",
    "Fetched",
    "MediaFetchError",
    "Resolver",
    "Validator",
    "fetch",
    "fetch_answer",
    "resolve",
]

_MUCH, _PIECE, _TURNS = 1 << 20, 1 << 16, 64
Resolver = Callable[[str, int], Awaitable[list[str]]]


class MediaFetchError(ValueError):
    """A medium could not or may not be fetched; the message says why."""


@dataclass(frozen=True)
class FetchPolicy:
    """What may be fetched. Bytes and seconds are for one medium, its redirects included."""

    allow_private: bool = False
    domains: frozenset[str] = field(default=frozenset())
    ports: frozenset[int] = field(default=frozenset({80, 443, 8080, 8443}))
    max_bytes: int = 64 << 20
    seconds: float = 20.0
    redirects: int = 3


@dataclass(frozen=True)
class Validator:
    """What a server is asked with whether the file at `url` is still the one that it sent."""

    url: str
    etag: str = ""
    modified: str = ""

    def headers(self) -> dict[str, str]:
        """Of a request; the tag is the better one of the two."""
        if self.etag:
            return {"If-None-Match": self.etag}
        return {"If-Modified-Since": self.modified}


@dataclass(frozen=True)
class Fetched:
    """An answer: its file (None: the one that is known already) and headers.

    `url` is where it came from, `direct` whether without a redirect.
    """

    content: Content | None
    headers: Mapping[str, str]
    url: str
    direct: bool

    def validator(self) -> Validator | None:
        """What to ask for it with next time, if the server gave something."""
        etag, modified = self.headers.get("etag", ""), self.headers.get("last-modified", "")
        return Validator(self.url, etag, modified) if etag or modified else None


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, without blocking the event loop."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise MediaFetchError(f"the name {host!r} could not be resolved: {error}") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def fetch(url: str, policy: FetchPolicy, resolver: Resolver = resolve) -> Content:
    """The bytes at `url`; raises MediaFetchError for everything that goes wrong.

    They are spent of the request's budget as they come: MediaBudgetError.
    """
    content = (await fetch_answer(url, policy, resolver)).content
    assert content is not None, "nothing was known of it"
    return content


async def fetch_answer(
    url: str, policy: FetchPolicy, resolver: Resolver = resolve, known: Validator | None = None
) -> Fetched:
    """As `fetch`; a file that is `known` is not sent again by a server that says so."""
    try:
        async with asyncio.timeout(policy.seconds):
            return await _follow(url, policy, resolver, known)
    except TimeoutError:
        raise MediaFetchError(f"no whole answer within {policy.seconds:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
        raise MediaFetchError(str(error) or type(error).__name__) from error


async def _follow(
    url: str, policy: FetchPolicy, resolver: Resolver, known: Validator | None
) -> Fetched:
    target = httpx.URL(url)
    for turn in range(policy.redirects + 1):
        address = await _checked_address(target, policy, resolver)
        asked = known if known is not None and known.url == str(target) else None
        answer = await _get(target, address, policy, asked)
        if not isinstance(answer, str):
            content, headers = answer
            return Fetched(content, headers, str(target), direct=turn == 0)
        target = target.join(answer)
    raise MediaFetchError(f"more than {policy.redirects} redirects")


async def _checked_address(target: httpx.URL, policy: FetchPolicy, resolver: Resolver) -> str:
    if target.scheme not in {"http", "https"}:
        raise MediaFetchError(f"only http and https are fetched, not {target.scheme!r}")
    if target.userinfo:
        raise MediaFetchError("a URL with a user name or password is not fetched")
    host, port = target.host, target.port or {"http": 80, "https": 443}[target.scheme]
    if policy.domains and host.lower() not in policy.domains:
        allowed = ", ".join(sorted(policy.domains))
        raise MediaFetchError(f"media from {host!r} is not allowed here; allowed: {allowed}")
    if not policy.allow_private and port not in policy.ports:
        allowed = ", ".join(map(str, sorted(policy.ports)))
        raise MediaFetchError(f"port {port} is not allowed; allowed: {allowed}")
    addresses = await resolver(host, port)
    if not addresses:
        raise MediaFetchError(f"the name {host!r} has no address")
    for address in addresses if not policy.allow_private else ():
        if (reason := refusal(address)) is not None:
            raise MediaFetchError(f"{reason}; the server fetches from public addresses only")
    return addresses[0]


async def _get(
    target: httpx.URL, address: str, policy: FetchPolicy, known: Validator | None
) -> tuple[Content | None, Mapping[str, str]] | str:
    """The body (None if `known` still holds) and headers, or where a redirect leads."""
    headers = {"Host": target.netloc.decode("ascii"), "Accept-Encoding": "identity"}
    headers |= known.headers() if known is not None else {}
    # A client for one request: a pooled connection would be shared by all names of one address.
    async with (
        httpx.AsyncClient(verify=_tls(), trust_env=False, timeout=policy.seconds) as client,
        client.stream(
            "GET",
            target.copy_with(host=address),
            headers=headers,
            extensions={"sni_hostname": target.host},
        ) as response,
    ):
        if response.is_redirect and "location" in response.headers:
            return response.headers["location"]
        if known is not None and response.status_code == 304:
            return None, response.headers
        if response.status_code != 200:
            raise MediaFetchError(f"the server there answered {response.status_code}")
        return await _read(response, policy.max_bytes), response.headers


async def _read(response: httpx.Response, limit: int) -> Content:
    declared = response.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise MediaFetchError(f"{int(declared):,} bytes; at most {limit:,} are fetched")
    pieces: list[bytes] = []
    piece = bytearray()
    size = turns = 0
    # Raw: what a server compresses unasked is not unpacked, so it cannot grow here.
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > limit:
            raise MediaFetchError(f"more than {limit:,} bytes; at most that many are fetched")
        spend("bytes", len(chunk))
        piece += chunk
        if len(piece) >= _PIECE:
            pieces.append(bytes(piece))
            piece.clear()
        turns += 1
        if turns % _TURNS == 0:
            # Chunks of single bytes, thousands in one packet, must not hold up the event loop.
            await asyncio.sleep(0)
    pieces.append(bytes(piece))
    return await asyncio.to_thread(joined, pieces, size) if size > _MUCH else b"".join(pieces)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()
