"""The outer app in process: fake models behind it, an ASGI client before it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import pytest

from sensorium.serving.http.app import SensoriumApp
from sensorium.serving.http.state import ServerState
from sensorium.serving.models import ModelSlot, ModelTable
from sensorium.serving.testing.fake_model import FakeModel


def server_state(**models: FakeModel | None) -> ServerState:
    """A server with these models; None is one that is still loading."""
    return ServerState(ModelTable(ModelSlot((name,), model) for name, model in models.items()))


@asynccontextmanager
async def client_of(state: ServerState) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client that calls the app directly."""
    transport = httpx.ASGITransport(SensoriumApp(state))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture
def serve() -> Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]:
    """`async with serve(name=FakeModel()) as client`."""
    return lambda **models: client_of(server_state(**models))
