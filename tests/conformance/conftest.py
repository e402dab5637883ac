"""One real server for all of it, under the names that openai-python's tests use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conformance.description import (
    VARIABLE,
    Description,
    find_description,
    load_description,
)
from tests.conformance.live import COUNTS, KEY, Conformance
from tests.kit.live_server import LiveServer
from tests.kit.tiny_embedder import write_tiny_embedder
from tests.kit.tiny_whisper import write_tiny_whisper


@pytest.fixture(scope="session")
def conformance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Conformance]:
    """The server, ready, and what it answered while it was still loading."""
    folder = tmp_path_factory.mktemp("conformance")
    config = folder / "server.yaml"
    config.write_text(json.dumps(_settings(folder)), "utf-8")  # JSON is YAML
    with LiveServer(["--config", str(config)], folder / "server.log") as live:
        url = live.wait_listening()
        with httpx.Client(base_url=url, headers=_headers(), timeout=60) as client:
            body = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}
            early = client.post("/v1/chat/completions", json=body)
            live.wait_ready()
            yield Conformance(url, client, early, folder)


def _settings(folder: Path) -> dict[str, Any]:
    whisper = write_tiny_whisper(folder / "tiny-whisper")
    embedder = write_tiny_embedder(folder / "tiny-embedder")
    return {
        "api-key": [KEY],
        "models": {
            "demo": {
                "model": "demo",
                "served-model-name": ["demo", "gpt-6-astra", "gpt-3.5-turbo-instruct"],
            },
            "whisper": {
                "model": str(whisper),
                "served-model-name": ["whisper-1", "gpt-4o-transcribe"],
            },
            "embedder": {
                "model": str(embedder),
                "served-model-name": ["text-embedding-3-small"],
                "runner": "pooling",
                "convert": "embed",
            },
        },
    }


def _headers() -> dict[str, str]:
    return {"authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="session")
def description() -> Description:
    """OpenAI's description; the tests that need it are skipped where it is not."""
    path = find_description()
    if path is None:
        pytest.skip(f"OpenAI's API description is not on this machine; set {VARIABLE} to its path")
    return load_description(path)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was counted."""
    if COUNTS:
        terminalreporter.section("conformance")
        for line in COUNTS:
            terminalreporter.line(line)
