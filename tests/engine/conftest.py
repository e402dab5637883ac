"""One real server for the whole tier: the embedded models, tiny Whispers, two composed models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml

from sensorium.model_adapters import catalogue
from tests.kit.live_server import LiveServer
from tests.kit.tiny_whisper import write_tiny_whisper

COMPOSED = "video-llava"
# Served because the file names its family.
NAMED = "yuren"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Serves `demo`, tiny checkpoints and, where it has been pulled, `whisper-base`."""
    folder = tmp_path_factory.mktemp("server")
    english = write_tiny_whisper(folder / "tiny-english", english=True, mels=128)
    # Six models would get a tenth of the machine's memory each.
    small = {"kv-cache-memory-bytes": 128 << 20}
    plain = {"dtype": "float32", **small}
    models: dict[str, Any] = {
        "demo": "demo",
        "tiny-whisper": {"model": str(write_tiny_whisper(folder / "tiny-whisper")), **small},
        "tiny-english": {"model": str(english), **small},
        COMPOSED: {"model": str(_composed(folder / COMPOSED)), **plain},
        NAMED: {"model": str(_built(folder / NAMED)), "family": NAMED, **plain},
    }
    if catalogue.KNOWN["whisper-base"].installed():
        models["whisper-base"] = "whisper-base"
    config = folder / "server.yaml"
    config.write_text(yaml.safe_dump({"models": models}, sort_keys=False))
    media = folder / "media"
    media.mkdir()
    options = ["--media-root", str(media), "--allow-private-media", "--config", str(config)]
    with LiveServer(options, folder / "server.log") as live:
        live.wait_ready()
        yield live


def _built(folder: Path) -> Path:
    from tests.families.checkpoints import BUILDERS

    folder.mkdir()
    BUILDERS[folder.name](folder)
    return folder


def _composed(folder: Path) -> Path:
    """Video-LLaVA without its towers, which lie beside it under their published names."""
    from tests.families import tiny
    from tests.families.reference import read_all

    state = read_all(_built(folder))
    kept = {name: value for name, value in state.items() if "_tower." not in name}
    tiny.save_bin(folder, kept)
    return folder


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
