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


@pytest.mark.parametrize(("kind", "ending"), [("srt", "srt"), ("vtt", "vtt"), ("text", "txt")])
def test_folders_are_written_file_by_file_and_not_done_again(
    server: ScriptedServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    ending: str,
) -> None:
    talks = tmp_path / "talks"
    (talks / "day").mkdir(parents=True)
    for name in ("a.wav", "a.MP4", "day/b.ogg", "notes.pdf"):
        (talks / name).write_bytes(b"RIFF")
    server.on(ROUTE, Answer({"text": " Hello."} if kind == "text" else "1\nHello.\n\n"))
    out = tmp_path / "out"
    assert transcribe("--format", kind, "--out", str(out), str(talks)) == 0
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert written == [f"a.MP4.{ending}", f"a.wav.{ending}", f"day/b.{ending}"]
    expected = "Hello.\n" if kind == "text" else "1\nHello.\n\n"
    assert (out / f"day/b.{ending}").read_text() == expected
    asked = len(server.asked)
    (out / f"a.wav.{ending}").unlink()
    assert transcribe("--format", kind, "--out", str(out), str(talks)) == 0
    assert len(server.asked) == asked + 2  # the list of models, and one file
    assert "2 of 3 are there already" in capsys.readouterr().err


def test_a_file_that_fails_leaves_nothing(server: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    server.on(ROUTE, Answer({"error": {"message": "Cannot decode."}}, status=400))
    out = tmp_path / "out"
    assert transcribe("--out", str(out), str(tmp_path / "a.wav")) == 1
    assert not out.exists()


def test_subtitles_on_the_screen(
    server: ScriptedServer, recording: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on(ROUTE, Answer("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nHello\n\n"))
    assert transcribe("--format", "vtt", recording) == 0
    assert capsys.readouterr().out.startswith("WEBVTT\n\n00:00")


def test_translation_words_and_prompt(server: ScriptedServer, recording: str) -> None:
    server.on("POST /v1/audio/translations", Answer({"text": "Hello."}))
    options = ("--translate", "--prompt", "Ada", "--format", "verbose_json", "--words")
    assert transcribe(*options, recording) == 0
    form = server.asked[-1].form()
    assert server.asked[-1].path == "/v1/audio/translations"
    assert (form["prompt"], form["timestamp_granularities[]"]) == ("Ada", "word")


def test_words_need_a_place(recording: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert transcribe("--words", recording) == 2
    assert "verbose_json" in capsys.readouterr().err


def test_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert transcribe(str(tmp_path)) == 2
    assert "no sound or video file" in capsys.readouterr().err
