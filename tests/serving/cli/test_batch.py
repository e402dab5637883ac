from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sensorium.serving.batch.display import Display, duration
from sensorium.serving.batch.media import MediaFiles
from sensorium.serving.batch.tally import Tally
from sensorium.serving.cli import main as cli
from tests.kit.echo_server import EchoServer, echo_server
from tests.kit.media import circle, image_bytes


@pytest.fixture
def server() -> Iterator[EchoServer]:
    with echo_server(keep_bodies=True) as echo:
        yield echo


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    lines = [{"custom_id": f"c{n}", "messages": [{"content": f"t{n}"}]} for n in range(5)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def batch(server: EchoServer, source: Path | str, output: Path, *more: str) -> int:
    return cli.main(["batch", str(source), str(output), "--url", server.url, *more])


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_answers_errors_and_manifest(
    server: EchoServer, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with source.open("a") as file:
        file.write("{broken\n")
    out = tmp_path / "out.jsonl"
    assert batch(server, source, out, "--temperature", "0", "--max-tokens", "9") == 0
    assert {row["custom_id"] for row in lines(out)} == {f"c{n}" for n in range(5)}
    (failed,) = lines(tmp_path / "out.jsonl.errors.jsonl")
    assert failed["error"]["code"] == "invalid_json_line"
    manifest = json.loads((tmp_path / "out.jsonl.manifest.json").read_text())
    assert manifest["counts"] == {"rows": 6, "answered": 5, "failed": 1}
    assert manifest["settings"]["parameters"] == {"max_completion_tokens": 9, "temperature": 0.0}
    assert manifest["runs"][0]["versions"]["sensorium"]
    assert server.bodies[0] == {
        "messages": server.bodies[0]["messages"],
        "model": "echo",
        "temperature": 0.0,
        "max_completion_tokens": 9,
    }
    said = capsys.readouterr().err
    assert "6/6 rows (100%)" in said
    assert "1 rows failed" in said


def test_a_finished_batch_asks_nothing(server: EchoServer, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert batch(server, source, out) == 0
    before = out.read_bytes()
    assert batch(server, source, out) == 0
    assert (out.read_bytes(), len(server.bodies)) == (before, 5)


def test_another_batch_is_refused_until_restarted(
    server: EchoServer, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.jsonl"
    assert batch(server, source, out, "--seed", "1", "--quiet") == 0
    assert batch(server, source, out, "--seed", "2", "--model", "m", "--quiet") == 2
    said = capsys.readouterr().err
    assert 'model: "echo" -> "m"; parameters: {"seed": 1} -> {"seed": 2}' in said
    assert "--restart" in said
    with source.open("a") as file:
        file.write('{"messages": [{"content": "t9"}]}\n')
    assert batch(server, source, out, "--seed", "1") == 2
    assert "input: " in capsys.readouterr().err
    assert batch(server, source, out, "--seed", "2", "--model", "m", "--restart") == 0
    assert len(lines(out)) == 6


def test_a_file_that_is_not_ours_is_left_alone(
    server: EchoServer, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("precious\n")
    assert batch(server, source, out) == 2
    assert batch(server, source, out, "--restart") == 2
    assert out.read_text() == "precious\n"
    assert "no batch wrote it" in capsys.readouterr().err


def test_failed_rows_can_be_tried_again(server: EchoServer, source: Path, tmp_path: Path) -> None:
    server.misbehave = lambda text, tries: {"t1": 500, "t2": 400}.get(text)
    out = tmp_path / "out.jsonl"
    assert batch(server, source, out, "--max-retries", "0") == 0
    errors = tmp_path / "out.jsonl.errors.jsonl"
    assert {row["custom_id"] for row in lines(errors)} == {"c1", "c2"}
    server.misbehave = lambda text, tries: None
    assert batch(server, source, out, "--max-retries", "0", "--retry-failed") == 0
    assert {row["custom_id"] for row in lines(errors)} == {"c2"}
    assert sorted(row["custom_id"] for row in lines(out)) == ["c0", "c1", "c3", "c4"]


def test_a_folder_of_pictures(server: EchoServer, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(image_bytes(circle(size=(8, 8))))
    (folder / "broken.png").write_bytes(b"")
    out = tmp_path / "out.jsonl"
    assert batch(server, folder, out, "--prompt", "What is it?") == 0
    (row,) = lines(out)
    assert row["custom_id"] == "a.png"
    assert row["response"]["body"]["choices"][0]["message"]["content"] == "echo What is it?"
    (failed,) = lines(tmp_path / "out.jsonl.errors.jsonl")
    assert failed["custom_id"] == "broken.png"


def test_sounds_are_uploaded(server: EchoServer, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF0000WAVE")
    out = tmp_path / "out.jsonl"
    assert batch(server, f"{tmp_path}/*.wav", out, "--endpoint", "transcriptions") == 0
    form = server.bodies[0]["form"]
    assert 'name="file"; filename="a.wav"' in form
    assert 'name="model"\r\n\r\necho' in form
    assert "RIFF0000WAVE" in form


def test_parquet(server: EchoServer, source: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the batch extra brings it")
    out = tmp_path / "out.parquet"
    assert batch(server, source, out) == 0
    assert batch(server, source, out) == 0
    table = parquet.read_table(out).to_pylist()
    assert {row["custom_id"]: row["text"] for row in table} == {
        f"c{n}": f"echo t{n}" for n in range(5)
    }
    assert len(server.bodies) == 5


def test_what_is_wrong_is_said(
    server: EchoServer, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.jsonl"
    cases = [
        (["--max-inflight", "0"], "--max-inflight"),
        (["--body", "{"], "--body is not valid JSON"),
        (["--max-num-seqs", "3"], "unknown option --max-num-seqs"),
    ]
    for options, words in cases:
        assert batch(server, source, out, *options, "--restart") == 2
        assert words in capsys.readouterr().err
    assert batch(server, tmp_path / "none.jsonl", out) == 2
    assert batch(server, source, tmp_path / "none" / "out.jsonl") == 2
    gone = ["--url", "http://127.0.0.1:9"]
    assert cli.main(["batch", str(source), str(tmp_path / "new.jsonl"), *gone]) == 1
    assert "no server answers at" in capsys.readouterr().err


class TestDisplay:
    def test_a_line(self, tmp_path: Path) -> None:
        tally = Tally(done=10)
        tally.began -= 10
        tally.done, tally.failed, tally.retries = 50, 2, 3
        tally.prompt_tokens, tally.completion_tokens, tally.cached_tokens = 900, 100, 450
        files = MediaFiles(tmp_path)
        files.hits, files.misses = 3, 1
        line = Display(io.StringIO(), tally, files, 104).line(bar=True)
        assert line == (
            "██████████░░░░░░░░░░ 52/104 rows (50%), 4.2 rows/s, 100 tokens/s, 12 s left, "
            "2 failed, 3 retries, 75% media reused, 50% prompt cached"
        )

    @pytest.mark.parametrize(
        ("seconds", "text"), [(42, "42 s"), (310, "5 min 10 s"), (12_000, "3 h 20 min")]
    )
    def test_durations(self, seconds: float, text: str) -> None:
        assert duration(seconds) == text
