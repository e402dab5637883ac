import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensorium.serving.cli import main as cli
from tests.kit.scripted_server import Answer, ScriptedServer, scripted_server

ROUTE = "POST /v1/audio/transcriptions"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    monkeypatch.delenv("SENSORIUM_API_KEY", raising=False)
    with scripted_server() as script:
        monkeypatch.setenv("SENSORIUM_URL", script.url)
        script.on("GET /v1/models", Answer({"data": [{"id": "demo"}, {"id": "my-Whisper"}]}))
        script.on(ROUTE, Answer({"text": " Hello there."}))
        yield script


@pytest.fixture
def recording(tmp_path: Path) -> str:
    path = tmp_path / "talk.wav"
    path.write_bytes(b"RIFF\x00\r\n\xff")
    return str(path)


def transcribe(*arguments: str) -> int:
    return cli.main(["transcribe", *arguments])


def test_one_file_gives_its_words(
    server: ScriptedServer, recording: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert transcribe(recording) == 0
    assert capsys.readouterr().out == "Hello there.\n"
    assert server.asked[-1].form() == {
        "model": "my-Whisper",
        "response_format": "json",
        "file": ("talk.wav", b"RIFF\x00\r\n\xff"),
    }


def test_options_go_into_the_form(server: ScriptedServer, recording: str) -> None:
    assert transcribe("--model", "w", "--language", "de", "--api-key", "k", recording) == 0
    (asked,) = server.asked
    assert asked.headers["Authorization"] == "Bearer k"
    assert asked.form()["model"] == "w"
    assert asked.form()["language"] == "de"


@pytest.mark.parametrize(
    ("capabilities", "chosen"),
    [
        ({"whisper-chat": ["chat"], "ears": ["transcription"]}, "ears"),
        ({"omni": ["chat", "transcription"], "ears": ["transcription"]}, "ears"),
        ({"plain": ["chat"], "omni": ["chat", "transcription"]}, "omni"),
        ({"plain": [], "Whisper": []}, "Whisper"),
    ],
)
def test_a_model_made_for_speech_is_taken(
    server: ScriptedServer, recording: str, capabilities: dict[str, list[str]], chosen: str
) -> None:
    entries = [{"id": name, "capabilities": can} for name, can in capabilities.items()]
    server.on("GET /v1/models", Answer({"data": entries}))
    assert transcribe(recording) == 0
    assert server.asked[-1].form()["model"] == chosen


def test_no_model_transcribes(
    server: ScriptedServer, recording: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on("GET /v1/models", Answer({"data": [{"id": "demo", "capabilities": ["chat"]}]}))
    assert transcribe(recording) == 1
    error = capsys.readouterr().err
    assert "no served model transcribes speech (demo)" in error
    assert "sensorium pull whisper-base" in error


def test_several_files_are_told_apart_and_a_bad_one_does_not_stop_the_rest(
    server: ScriptedServer, recording: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.ogg"
    other.write_bytes(b"OggS")
    server.on(
        ROUTE,
        Answer({"error": {"message": "Cannot decode."}}, status=400),
        Answer({"text": " Hello."}),
    )
    assert transcribe(recording, str(other)) == 1
    streams = capsys.readouterr()
    assert streams.out == f"{other}: Hello.\n"
    assert streams.err == f"sensorium transcribe: {recording}: Cannot decode. (HTTP 400)\n"


def test_json_is_one_object_a_line(
    server: ScriptedServer, recording: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on(ROUTE, Answer({"text": " Grüß Gott.", "usage": {"seconds": 2}}))
    assert transcribe("--format", "json", recording, recording) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert json.loads(lines[0]) == {
        "file": recording,
        "text": " Grüß Gott.",
        "usage": {"seconds": 2},
    }
    assert "ü" in lines[0]


def test_a_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert transcribe("/no/such.wav") == 2
    assert "/no/such.wav: no such file" in capsys.readouterr().err


def test_no_server(recording: str, capsys: pytest.CaptureFixture[str]) -> None:
    with scripted_server() as gone:
        url = gone.url
    assert transcribe("--url", url, recording) == 1
    assert f"no server answers at {url}" in capsys.readouterr().err
