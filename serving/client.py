"""A small client of the OpenAI API, shared by `sensorium ask` and `sensorium transcribe`.

It uses httpx, not the `openai` package, so that the commands work in a plain installation and
start quickly; httpx itself is imported only when a server is called.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sensorium.serving.errors import SensoriumError, UserError

if TYPE_CHECKING:
    import httpx

__all__ = [
    "AnswerError",
    "ChatPiece",
    "Client",
    "ClientError",
    "Served",
    "add_server_options",
    "choose",
    "open_client",
]

DEFAULT_URL = "http://127.0.0.1:8000"
LOOPBACK = ("127.0.0.1", "::1", "localhost")

# Seconds. Between two pieces of an answer a long prompt may be read, or a queue waited for.
CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 600.0


class ClientError(SensoriumError):
    """The server could not be reached or did not answer as it must; one line, exit code 1."""


class AnswerError(ClientError):
    """The server refused this request; the message is the server's own."""


@dataclass(frozen=True)
class Served:
    """An entry of /v1/models. `capabilities` is empty for a server that does not tell."""

    name: str
    capabilities: frozenset[str]

    def can(self, capability: str) -> bool:
        """Whether it says that it has the capability."""
        return capability in self.capabilities


@dataclass(frozen=True)
class ChatPiece:
    """What one event of a streamed chat adds: text, and at the end why it ended."""

    text: str
    finish_reason: str | None


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Add `--url`, `--model` and `--api-key`."""
    parser.add_argument(
        "--url",
        default=os.environ.get("SENSORIUM_URL", DEFAULT_URL),
        help=f"the server (default: $SENSORIUM_URL, else {DEFAULT_URL})",
    )
    parser.add_argument("--model", metavar="M", help="a model that the server lists")
    parser.add_argument(
        "--api-key",
        metavar="K",
        default=os.environ.get("SENSORIUM_API_KEY"),
        help="the server's key (default: $SENSORIUM_API_KEY)",
    )


def choose(models: Sequence[Served], capability: str) -> Served | None:
    """The first model that has the capability, or None."""
    return next((model for model in models if model.can(capability)), None)


@contextmanager
def open_client(url: str, api_key: str | None) -> Iterator[Client]:
    """A client for the server at `url`, given with or without the final /v1.

    Inside the block, failures to reach the server are `ClientError`s that say what to do.
    """
    import httpx

    root = url.rstrip("/").removesuffix("/v1")
    try:
        host = httpx.URL(root).host
    except httpx.InvalidURL as error:
        raise UserError(f"--url {url}: {error}") from None
    if not root.startswith(("http://", "https://")) or not host:
        raise UserError(f"--url {url}: it must look like {DEFAULT_URL}")
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    timeout = httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT)
    # A proxy set for the internet must not be asked for a server on this machine.
    with httpx.Client(
        base_url=root, headers=headers, timeout=timeout, trust_env=host not in LOOPBACK
    ) as http:
        try:
            yield Client(http)
        except httpx.ConnectError:
            raise ClientError(
                f"no server answers at {root}; start one with `sensorium serve`, "
                "or name another with --url or $SENSORIUM_URL"
            ) from None
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise ClientError(f"the connection to {root} failed: {reason}") from None


class Client:
    """Calls of the OpenAI API; each raises `AnswerError` when the server says no."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def models(self) -> list[Served]:
        """The models that are served, in the server's order; never empty."""
        entries = _checked(self._http.get("/v1/models")).get("data")
        try:
            models = [
                Served(str(entry["id"]), frozenset(entry.get("capabilities") or ()))
                for entry in entries or ()
            ]
        except (AttributeError, KeyError, TypeError):
            raise ClientError(
                f"{self._http.base_url}/v1/models does not list models as OpenAI's API does"
            ) from None
        if not models:
            raise ClientError(f"{self._http.base_url} serves no model (yet)")
        return models

    def chat(self, body: Mapping[str, Any]) -> Iterator[ChatPiece]:
        """Stream a chat completion of one choice."""
        request = {**body, "stream": True}
        with self._http.stream("POST", "/v1/chat/completions", json=request) as response:
            if response.is_error:
                response.read()
                raise AnswerError(_message(response))
            for line in response.iter_lines():
                field, _, value = line.partition(":")
                if field != "data":
                    continue
                value = value.strip()
                if value == "[DONE]":
                    return
                yield from _pieces(value)
        raise ClientError("the answer broke off before its end")

    def transcribe(self, path: Path, fields: Mapping[str, str], *, translate: bool = False) -> str:
        """Upload one recording; returns the body of the answer, in the format asked for."""
        import httpx

        route = "translations" if translate else "transcriptions"
        with path.open("rb") as file:
            response = self._http.post(
                f"/v1/audio/{route}",
                data=dict(fields),
                files={"file": (path.name, file)},
                # Nothing is sent before hours of sound have been written down.
                timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT),
            )
        if response.is_error:
            raise AnswerError(_message(response))
        return response.text


def _pieces(event: str) -> Iterator[ChatPiece]:
    try:
        chunk = json.loads(event)
    except ValueError:
        raise ClientError(f"an event of the answer is not JSON: {event[:100]}") from None
    if "error" in chunk:
        raise AnswerError(_error_text(chunk) or event)
    for choice in chunk.get("choices", ()):
        delta = choice.get("delta") or {}
        yield ChatPiece(delta.get("content") or "", choice.get("finish_reason"))


def _checked(response: httpx.Response) -> dict[str, Any]:
    if response.is_error:
        raise AnswerError(_message(response))
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ClientError(f"{response.url} did not answer with a JSON object; is it such a server?")
    return answer


def _message(response: httpx.Response) -> str:
    """The server's own words, with the status: OpenAI's error shape, or whatever there is."""
    try:
        text = _error_text(response.json())
    except ValueError:
        text = None
    text = text or response.text.strip()[:300] or response.reason_phrase
    return f"{text} (HTTP {response.status_code})"


def _error_text(body: object) -> str | None:
    error = body.get("error", body.get("detail")) if isinstance(body, dict) else None
    if isinstance(error, dict):
        error = error.get("message")
    return str(error) if error else None
