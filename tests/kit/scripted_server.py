"""An HTTP server on loopback that answers from a script and keeps what it was asked.

For testing clients: it knows nothing of the API it stands in for.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """A scripted answer; `events` makes it a server-sent event stream."""

    body: Any = None
    status: int = 200
    events: list[Any] | None = None

    def encode(self) -> tuple[str, bytes]:
        """The content type and the bytes."""
        if self.events is not None:
            lines = [e if isinstance(e, str) else json.dumps(e) for e in self.events]
            return "text/event-stream", "".join(f"data: {line}\n\n" for line in lines).encode()
        if isinstance(self.body, str):
            return "text/plain", self.body.encode()
        return "application/json", json.dumps(self.body).encode()


@dataclass
class Asked:
    """A request as it came in."""

    method: str
    path: str
    headers: Message
    body: bytes

    def json(self) -> Any:
        """The JSON body."""
        return json.loads(self.body)

    def form(self) -> dict[str, str | tuple[str, bytes]]:
        """The fields of a multipart form; a file is its (name, content)."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        out: dict[str, str | tuple[str, bytes]] = {}
        for part in BytesParser().parsebytes(head + self.body).walk():
            name = part.get_param("name", header="content-disposition")
            content = part.get_payload(decode=True)
            if isinstance(name, str) and isinstance(content, bytes):
                file = part.get_filename()
                out[name] = content.decode() if file is None else (file, content)
        return out


@dataclass
class ScriptedServer:
    """Answers by "METHOD /path"; a list is used up one by one, its last answer again and again."""

    url: str
    script: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def on(self, route: str, *answers: Answer) -> None:
        """Set the answers of a route."""
        self.script[route] = list(answers)

    def next_answer(self, route: str) -> Answer:
        """Take the next answer of a route; 404 where the script has none."""
        answers = self.script.get(route, [Answer({"detail": "Not Found"}, status=404)])
        return answers.pop(0) if len(answers) > 1 else answers[0]


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    """Run such a server on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            asked = Asked(self.command, self.path, self.headers, self.rfile.read(length))
            script.asked.append(asked)
            answer = script.next_answer(f"{self.command} {self.path}")
            kind, data = answer.encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        script = ScriptedServer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()
