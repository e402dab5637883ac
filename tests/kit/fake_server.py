"""A whole server around a model without an engine, in a process of its own.

    python -P tests/kit/fake_server.py DATA_FOLDER SECONDS_PER_ROW

The model answers each chat with the words it was sent. Prints its URL on the first line.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path

import uvicorn
from starlette.types import Receive, Scope, Send

from sensorium.serving.files.limits import FileLimits
from sensorium.serving.files.service import FileService
from sensorium.serving.http.app import SensoriumApp
from sensorium.serving.http.state import ServerState
from sensorium.serving.models import ModelSlot, ModelTable
from sensorium.serving.testing.fake_model import FakeModel


class EchoModel(FakeModel):
    """Answers with what it was asked."""

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = json.loads((await receive())["body"])
        await asyncio.sleep(self.first_token_seconds)
        text = body["messages"][-1]["content"]
        message = {"role": "assistant", "content": f"echo {text}"}
        answer = json.dumps({"choices": [{"index": 0, "message": message}]}).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


async def main(folder: str, seconds: str) -> None:
    """Serve until killed."""
    model = EchoModel(first_token_seconds=float(seconds))
    state = ServerState(ModelTable([ModelSlot(("eyes",), model)]))
    state.files = FileService(Path(folder), state.models, state.load, FileLimits(inflight=8))
    app = SensoriumApp(state)
    state.files.start(app)
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off")).serve([listener])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
