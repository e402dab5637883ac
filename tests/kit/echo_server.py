"""An OpenAI-like server on loopback that answers each row in its own words, and can misbehave."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class EchoServer:
    """Counts what it answered, by the text of the request.

    `misbehave(text, tries)` may return a status to fail with, or 0 to break the connection.
    """

    url: str = ""
    delay: float = 0.0
    misbehave: Callable[[str, int], int | None] = lambda text, tries: None
    answered: Counter[str] = field(default_factory=Counter)
    tries: Counter[str] = field(default_factory=Counter)
    bodies: list[Any] = field(default_factory=list)
    keep_bodies: bool = False
    most_at_once: int = 0
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, path: str, raw: bytes) -> tuple[int, Any]:
        """The status and body for a request."""
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return self._answer(path, raw)
        finally:
            with self._lock:
                self._at_once -= 1

    def _answer(self, path: str, raw: bytes) -> tuple[int, Any]:
        if path == "/v1/models":
            return 200, {"data": [{"id": "echo"}]}
        body = json.loads(raw) if raw.startswith(b"{") else {"form": raw.decode("latin-1")}
        if self.keep_bodies:
            self.bodies.append(body)
        text = text_of(body)
        with self._lock:
            self.tries[text] += 1
            tries = self.tries[text]
        time.sleep(self.delay)
        status = self.misbehave(text, tries)
        if status is not None:
            return status, {"error": {"message": f"no: {text}", "code": None}}
        with self._lock:
            self.answered[text] += 1
        message = {"role": "assistant", "content": f"echo {text}"}
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        return 200, {"choices": [{"index": 0, "message": message}], "usage": usage}


def text_of(body: dict[str, Any]) -> str:
    """The words of a request."""
    if "messages" not in body:
        return str(body.get("prompt", body.get("input", "")))
    content = body["messages"][-1]["content"]
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content if part.get("type") == "text")


@contextmanager
def echo_server(**settings: Any) -> Iterator[EchoServer]:
    """Run such a server on a free port."""
    echo = EchoServer(**settings)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            status, body = echo.answer(self.path, self.rfile.read(length))
            if status == 0:
                self.close_connection = True
                return
            data = json.dumps(body).encode()
            head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
            head += f"X-Request-Id: req_1\r\nContent-Length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that was killed is no news."""

    with Server(("127.0.0.1", 0), Handler) as server:
        echo.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield echo
        finally:
            server.shutdown()
            thread.join()
