"""The server as a process: loading, keys, drain, signals, failed starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.live_server import LiveServer
from tests.kit.speech import hum
from tests.kit.tiny_whisper import SENTENCE, write_tiny_whisper

pytestmark = pytest.mark.engine

HEADERS = {"Authorization": "Bearer sesame"}
HELLO = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server of this module's own, with a key; its last test ends it."""
    log = tmp_path_factory.mktemp("own") / "log"
    with LiveServer(["demo", "--api-key", "sesame", "--drain-timeout", "60"], log) as live:
        yield live


def test_1_while_loading(own: LiveServer) -> None:
    url = own.wait_listening()
    answer = httpx.post(f"{url}/v1/chat/completions", json=HELLO, headers=HEADERS)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["error"]["code"] == "model_loading"
    assert httpx.get(f"{url}/health/live").status_code == 200
    assert httpx.get(f"{url}/health/ready").status_code == 503


def test_1_keys(own: LiveServer) -> None:
    url = own.wait_ready()
    for path in ("/v1/models", "/tokenize", "/docs", "/metrics", "/v1/chat/completions"):
        assert httpx.get(url + path).status_code == 401
        assert httpx.get(url + path, headers={"Authorization": "Bearer x"}).status_code == 401
    answer = httpx.post(f"{url}/v1/chat/completions", json=HELLO, headers=HEADERS, timeout=30)
    assert answer.status_code == 200
    assert "curl" in own.output()
    assert "loading demo: done in" in own.output()


def test_2_private_addresses_are_not_fetched_from(own: LiveServer) -> None:
    url = own.wait_ready()
    image = {"type": "image_url", "image_url": {"url": f"{url}/health"}}
    body = {**HELLO, "messages": [{"role": "user", "content": [image]}]}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, headers=HEADERS, timeout=30)
    assert answer.status_code == 400
    assert "port" in answer.json()["error"]["message"]
    image["image_url"] = {"url": "http://localhost/x.png"}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, headers=HEADERS, timeout=30)
    assert "public addresses only" in answer.json()["error"]["message"]
    assert answer.json()["error"]["param"] == "messages.0.content.0.image_url.url"


def test_3_drain(own: LiveServer) -> None:
    url = own.wait_ready()
    tokens: list[str] = []
    begun = threading.Event()

    def stream() -> None:
        body = {**HELLO, "stream": True, "ignore_eos": True, "max_completion_tokens": 400}
        with httpx.stream(
            "POST", f"{url}/v1/chat/completions", json=body, headers=HEADERS, timeout=60
        ) as answer:
            for line in answer.iter_lines():
                begun.set()
                tokens.append(line)

    reading = threading.Thread(target=stream)
    reading.start()
    assert begun.wait(30)
    own.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 10
    while httpx.get(f"{url}/health/ready").status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.02)  # polling another process
    assert httpx.get(f"{url}/health/ready").json()["status"] == "draining"
    refused = httpx.post(f"{url}/v1/chat/completions", json=HELLO, headers=HEADERS)
    assert refused.status_code == 503
    reading.join(60)
    assert "data: [DONE]" in tokens
    assert own.process.wait(30) == 0


def _engines(server: LiveServer) -> set[int]:
    tasks = Path(f"/proc/{server.process.pid}/task").glob("*/children")
    children = {int(child) for task in tasks for child in task.read_text().split()}
    names = {pid: Path(f"/proc/{pid}/comm") for pid in children}
    return {pid for pid, name in names.items() if name.read_text().startswith("VLLM::Engine")}


class Transcribing:
    """A long transcription under way, as a stream or not, in a thread of its own."""

    def __init__(self, url: str, model: str, *, stream: bool) -> None:
        self.lines: list[str] = []
        self.status = 0
        self.begun = threading.Event()
        form = {"model": model, "stream": str(stream), "chunking_strategy": "sequential"}
        form["condition_on_previous_text"] = "false"  # the model knows a first window only
        self._request = (f"{url}/v1/audio/transcriptions", form)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        url, form = self._request
        file = {"file": ("talk.wav", hum(600))}
        with httpx.stream("POST", url, data=form, files=file, timeout=240) as answer:
            self.status = answer.status_code
            for line in answer.iter_lines():
                self.lines.append(line)
                self.begun.set()

    def events(self) -> list[dict[str, Any]]:
        """What was streamed, once it is over."""
        self._thread.join(240)
        return [json.loads(line[6:]) for line in self.lines if line.startswith("data: {")]


def test_killed_engines_leave_no_half_transcript_and_a_killed_server_no_engines(
    tmp_path: Path,
) -> None:
    names = ("one", "two")
    models = [f"{name}={write_tiny_whisper(tmp_path / name)}" for name in names]
    with LiveServer(models, tmp_path / "log") as live:
        url = live.wait_ready()
        first, other = engines = sorted(_engines(live))
        streams = [Transcribing(url, name, stream=True) for name in names]
        plain = [Transcribing(url, name, stream=False) for name in names]
        assert all(stream.begun.wait(120) for stream in streams)
        os.kill(first, signal.SIGKILL)
        last = [stream.events()[-1] for stream in streams]
        assert sorted("error" in event for event in last) == [False, True]
        whole = next(event for event in last if "error" not in event)
        assert whole["type"] == "transcript.text.done"
        assert whole["text"].count(SENTENCE) > 15
        assert all(stream.status == 200 for stream in streams)
        answers = {answer.status: answer for answer in plain if answer.events() == []}
        assert sorted(answers) == [200, 503]
        assert json.loads(answers[503].lines[0])["error"]["type"] == "server_error"
        assert json.loads(answers[200].lines[0])["text"].count(SENTENCE) > 15
        live.process.kill()
        live.process.wait(10)
        deadline = time.monotonic() + 20
        while any(_runs(pid) for pid in engines):
            assert time.monotonic() < deadline, f"{other} outlived its server"
            time.sleep(0.1)  # polling other processes


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    with LiveServer(["demo"], tmp_path / "log") as live:
        live.wait_listening()
        live.process.send_signal(signal.SIGTERM)
        live.process.send_signal(signal.SIGINT)
        assert live.process.wait(15) in {0, 1}


def test_a_checkpoint_that_does_not_load(tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "config.json").write_text('{"architectures": ["NoSuchModel"], "model_type": "no"}')
    with LiveServer([f"broken={folder}"], tmp_path / "log") as live:
        assert live.process.wait(120) == 1
        last = live.output().strip().splitlines()[-1]
    assert last.startswith("sensorium serve: model 'broken' did not load: ")


def test_an_option_the_engine_does_not_know(tmp_path: Path) -> None:
    with LiveServer(["demo", "--no-such-option", "3"], tmp_path / "log") as live:
        assert live.process.wait(120) == 2
        assert "no-such-option" in live.output().strip().splitlines()[-1]


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-P", "-m", "sensorium.serving", "serve", "demo", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "choose another --port" in done.stderr
