"""What a real engine's worker reports of projection kernels."""

from __future__ import annotations

import httpx
import pytest

from tests.kit.live_server import LiveServer

pytestmark = pytest.mark.engine


def test_the_worker_is_asked(server: LiveServer) -> None:
    answer = httpx.get(f"{server.url}/version", timeout=30).json()["projection_kernels"]
    assert answer["mode"] == "auto"
    assert {"demo", "tiny-whisper"} <= set(answer["models"])
    metrics = httpx.get(f"{server.url}/metrics", timeout=30).text
    assert "# TYPE sensorium_projection_kernel_calls_total counter" in metrics
