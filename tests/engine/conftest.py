"""One real server for the whole tier: the embedded models and a tiny random Whisper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from sensorium.model_adapters import catalogue
from tests.kit.live_server import LiveServer
from tests.kit.tiny_whisper import write_tiny_whisper


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Serves `demo`, two tiny Whispers and, where it has been pulled, `whisper-base`."""
    folder = tmp_path_factory.mktemp("server")
    english = write_tiny_whisper(folder / "tiny-english", english=True, mels=128)
    models = ["demo", f"tiny-whisper={write_tiny_whisper(folder / 'tiny-whisper')}"]
    models.append(f"tiny-english={english}")
    if catalogue.KNOWN["whisper-base"].installed():
        models.append("whisper-base")
    media = folder / "media"
    media.mkdir()
    options = ["--media-root", str(media), "--allow-private-media"]
    with LiveServer([*models, *options], folder / "server.log") as live:
        live.wait_ready()
        yield live


@pytest.fixture(scope="session")
def media_root(server: LiveServer) -> Path:
    """The folder below which the server reads file: URLs."""
    return server.log.parent / "media"


@pytest.fixture(scope="session")
def demo_client(server: LiveServer) -> Iterator[openai.OpenAI]:
    """A client of the shared server, for its model `demo`."""
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def whisper_client(demo_client: openai.OpenAI) -> openai.OpenAI:
    """The same client, where the server has `whisper-base`."""
    if not catalogue.KNOWN["whisper-base"].installed():
        pytest.skip("whisper-base is not on this machine; `sensorium pull whisper-base` fetches it")
    return demo_client
