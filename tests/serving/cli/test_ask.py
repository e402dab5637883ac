import base64
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sensorium.serving.cli import main as cli
from tests.kit.scripted_server import Answer, ScriptedServer, scripted_server

CHAT = "POST /v1/chat/completions"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    monkeypatch.delenv("SENSORIUM_API_KEY", raising=False)
    with scripted_server() as script:
        monkeypatch.setenv("SENSORIUM_URL", script.url)
        script.on("GET /v1/models", Answer(models("demo")))
        script.on(CHAT, Answer(events=answer("It is ", "red.")))
        yield script


def models(*entries: str | tuple[str, list[str]]) -> dict[str, Any]:
    data = [
        {"id": entry} if isinstance(entry, str) else {"id": entry[0], "capabilities": entry[1]}
        for entry in entries
    ]
    return {"object": "list", "data": data}


def answer(*texts: str, reason: str = "stop") -> list[Any]:
    events: list[Any] = [{"choices": [{"delta": {"role": "assistant", "content": ""}}]}]
    events += [{"choices": [{"delta": {"content": text}}]} for text in texts]
    events.append({"choices": [{"delta": {}, "finish_reason": reason}]})
    return [*events, {"choices": [], "usage": {"total_tokens": 3}}, "[DONE]"]


def ask(*arguments: str) -> int:
    return cli.main(["ask", *arguments])


def test_the_answer_is_printed(server: ScriptedServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("What colour is it?") == 0
    assert capsys.readouterr().out == "It is red.\n"
    assert server.asked[-1].json() == {
        "model": "demo",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "What colour is it?"}]}],
        "stream": True,
    }


def test_options_go_into_the_request(server: ScriptedServer) -> None:
    arguments = ["--model", "m", "--max-tokens", "7", "--temperature", "0.5", "--api-key", "k"]
    assert ask(*arguments, "hm?") == 0
    (asked,) = server.asked
    assert asked.headers["Authorization"] == "Bearer k"
    body = asked.json()
    assert (body["model"], body["max_completion_tokens"], body["temperature"]) == ("m", 7, 0.5)


def test_the_key_may_come_from_the_environment(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENSORIUM_API_KEY", "secret")
    assert ask("hm?") == 0
    assert {asked.headers["Authorization"] for asked in server.asked} == {"Bearer secret"}


@pytest.mark.parametrize("suffix", ["/", "/v1", "/v1/"])
def test_the_url_may_be_written_in_several_ways(server: ScriptedServer, suffix: str) -> None:
    assert ask("--url", server.url + suffix, "hm?") == 0
    assert [asked.path for asked in server.asked] == ["/v1/models", "/v1/chat/completions"]


def test_a_model_that_chats_is_taken_before_one_that_transcribes(server: ScriptedServer) -> None:
    server.on(
        "GET /v1/models", Answer(models(("w", ["transcription"]), ("d", ["chat", "completions"])))
    )
    assert ask("hm?") == 0
    assert server.asked[-1].json()["model"] == "d"


def test_media_come_before_the_question(server: ScriptedServer, tmp_path: Path) -> None:
    for name in ("a.png", "b.JPG", "s.wav", "v.mp4"):
        (tmp_path / name).write_bytes(name.encode())
    arguments = ["--image", str(tmp_path / "a.png"), "--image", str(tmp_path / "b.JPG")]
    arguments += ["--audio", str(tmp_path / "s.wav"), "--video", str(tmp_path / "v.mp4")]
    assert ask(*arguments, "hm?") == 0

    def b64(name: str) -> str:
        return base64.b64encode(name.encode()).decode()

    assert server.asked[-1].json()["messages"][0]["content"] == [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{b64('a.png')}"}},
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{b64('b.JPG')}"}},
        {"type": "input_audio", "input_audio": {"data": b64("s.wav"), "format": "wav"}},
        {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{b64('v.mp4')}"}},
        {"type": "text", "text": "hm?"},
    ]


def test_sounds_that_are_neither_wav_nor_mp3_go_by_url(
    server: ScriptedServer, tmp_path: Path
) -> None:
    (tmp_path / "s.flac").write_bytes(b"fLaC")
    assert ask("--audio", str(tmp_path / "s.flac"), "hm?") == 0
    part = server.asked[-1].json()["messages"][0]["content"][0]
    assert part == {"type": "audio_url", "audio_url": {"url": "data:audio/flac;base64,ZkxhQw=="}}


def test_urls_are_passed_on(server: ScriptedServer) -> None:
    assert ask("--image", "https://x.test/a.png", "--audio", "http://x.test/b.wav", "hm?") == 0
    content = server.asked[-1].json()["messages"][0]["content"]
    assert content[0]["image_url"]["url"] == "https://x.test/a.png"
    assert content[1] == {"type": "audio_url", "audio_url": {"url": "http://x.test/b.wav"}}


def test_an_answer_at_its_limit_is_marked(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on(CHAT, Answer(events=answer("It is", reason="length")))
    assert ask("hm?") == 0
    streams = capsys.readouterr()
    assert streams.out == "It is\n"
    assert "token limit" in streams.err


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Answer({"error": {"message": "No such model."}}, status=404), "No such model. (HTTP 404)"),
        (Answer({"error": "Unauthorized"}, status=401), "Unauthorized (HTTP 401)"),
        (Answer("bad gateway", status=502), "bad gateway (HTTP 502)"),
        (Answer("", status=500), "Internal Server Error (HTTP 500)"),
        (Answer(events=[{"error": {"message": "Engine died."}}]), "Engine died."),
        (Answer(events=["nonsense"]), "an event of the answer is not JSON: nonsense"),
        (Answer(events=[]), "the answer broke off before its end"),
    ],
)
def test_what_the_server_complains_of_is_shown(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str], reply: Answer, message: str
) -> None:
    server.on(CHAT, reply)
    assert ask("hm?") == 1
    assert f"sensorium ask: {message}\n" in capsys.readouterr().err


def test_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert ask("--url", url, "hm?") == 1
    error = capsys.readouterr().err
    assert f"no server answers at {url}; start one with `sensorium serve`" in error


def test_a_server_without_models(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on("GET /v1/models", Answer(models()))
    assert ask("hm?") == 1
    assert "serves no model" in capsys.readouterr().err


def test_something_else_listens_there(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on("GET /v1/models", Answer("<html>"), Answer({"data": [1]}))
    assert ask("hm?") == 1
    assert "did not answer with a JSON object" in capsys.readouterr().err
    assert ask("hm?") == 1
    assert "does not list models as OpenAI's API does" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image", "/no/such.png"], "/no/such.png: No such file or directory"),
        (["--url", "localhost:8000"], "it must look like http://127.0.0.1:8000"),
        (["--url", "http://127.0.0.1:eighty"], "--url http://127.0.0.1:eighty: "),
        (["--url", "http://"], "it must look like http://127.0.0.1:8000"),
    ],
)
def test_wrong_use(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(*arguments, "hm?") == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", ["ask", "transcribe", "pull", "models"])
def test_help_imports_no_http_client(command: str) -> None:
    code = (
        "import sys\nfrom sensorium.serving.cli.main import main\n"
        f"try: main(['{command}', '--help'])\n"
        "except SystemExit: print('heavy:', [m for m in ('httpx', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"sensorium {command}" in done.stdout
    assert "heavy: []" in done.stdout
