"""A server with files and batches in process, and a client before it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from sensorium.serving.files.limits import FileLimits
from sensorium.serving.files.service import FileService
from sensorium.serving.http.app import SensoriumApp
from sensorium.serving.http.auth import KeyRing
from sensorium.serving.http.state import ServerState
from sensorium.serving.models import ModelSlot, ModelTable
from sensorium.serving.testing.fake_model import FakeModel

CHAT = "/v1/chat/completions"


@asynccontextmanager
async def server(
    folder: Path, model: FakeModel, *, start: bool = True, keys: tuple[str, ...] = (), **limits: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A server of the model `eyes`; `start=False` leaves batches alone."""
    state = ServerState(ModelTable([ModelSlot(("eyes",), model)]), KeyRing(keys))
    state.files = FileService(folder, state.models, state.load, FileLimits(**limits))
    app = SensoriumApp(state)
    if start:
        state.files.start(app)
    headers = {"Authorization": f"Bearer {keys[0]}"} if keys else {}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test", headers=headers
    ) as client:
        try:
            yield client
        finally:
            await state.files.stop(1.0)


async def upload(client: httpx.AsyncClient, content: bytes, **fields: Any) -> dict[str, Any]:
    """Upload a file; returns its object."""
    name = fields.pop("filename", "in.jsonl")
    answer = await client.post(
        "/v1/files", data={"purpose": "batch", **fields}, files={"file": (name, content)}
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def row(custom_id: str, text: str = "hi", **more: Any) -> dict[str, Any]:
    """A line of a batch."""
    body = {"model": "eyes", "messages": [{"role": "user", "content": text}]}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body, **more}


def jsonl(*lines: Any) -> bytes:
    """Lines of JSON."""
    return "".join(json.dumps(line) + "\n" for line in lines).encode()
