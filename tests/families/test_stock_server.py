"""vLLM's own API server, with nothing but our plugin installed, serves an original checkpoint."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.families.checkpoints import BUILDERS
from tests.families.parity import CASES, images_first
from tests.families.proof import family_marks
from tests.families.reference import Reference
from tests.families.served import question
from tests.families.test_llava import VICUNA
from tests.kit.hostile import HOSTILE

pytestmark = family_marks
SMALL = ("--dtype=float32", "--max-model-len=512", "--enforce-eager", "--block-size=32")


@pytest.fixture(scope="module")
def checkpoint(folder: Path) -> Path:
    """LLaVA-1.5 with its tower beside it."""
    path = folder / "llava-v1.5"
    if not path.exists():
        path.mkdir()
        BUILDERS[path.name](path)
    return path


@pytest.fixture(scope="module")
def server(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of `python -m vllm.entrypoints.openai.api_server`; its model is called `it`."""
    log = tmp_path_factory.mktemp("stock") / "log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-P", "-m", "vllm.entrypoints.openai.api_server", "--host=127.0.0.1"]
    command += [f"--port={port}", f"--model={checkpoint}", "--served-model-name=it", *SMALL]
    command.append(f"--kv-cache-memory-bytes={32 << 20}")
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=dict(os.environ))
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            _wait(client, process, log)
            yield client
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)  # polling another process; there is nothing to wait on
    raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')[-4000:]}")


def ask(server: httpx.Client, text: str, *images: bytes) -> dict[str, Any]:
    """The answer to a chat, greedy, with its ids."""
    body = {"model": "it", "messages": question(text, images), "temperature": 0, "max_tokens": 16}
    answer = server.post("/v1/chat/completions", json={**body, "return_token_ids": True})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_answers_as_the_authors_code(server: httpx.Client, checkpoint: Path) -> None:
    tower = checkpoint.parent / "clip-tiny-v15"
    reference = Reference(checkpoint, tower, inside=False)
    for case in CASES[:3]:
        prompt = VICUNA.format(images_first(case.text, len(case.images)))
        tokens, _ = reference.answer(prompt, case.images)
        assert ask(server, case.text, *case.images)["choices"][0]["token_ids"] == tokens


@pytest.mark.parametrize(("route", "body"), HOSTILE)
def test_no_route_ends_the_engine(server: httpx.Client, route: str, body: Any) -> None:
    answer = server.post(route, json={"model": "it", **body})
    assert answer.status_code in {200, 400, 404}, answer.text
    assert server.get("/health").status_code == 200
    assert ask(server, "Who are you?", *CASES[1].images)["choices"]
