"""`bench batch`: the rows it writes, what it makes of a run, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from sensorium.benchmarks.compare.servers import Side
from sensorium.benchmarks.local import batch_pair
from sensorium.serving.cli.main import main
from sensorium.serving.errors import EngineStartError

_ANSWERS = """
import sys, time
rows = open(sys.argv[1]).read().splitlines()
time.sleep(0.3)
with open(sys.argv[2], "w") as out:
    for number, row in enumerate(rows):
        status = 500 if number == 1 else 200
        print('{"response":{"status_code":%d}}' % status, file=out, flush=True)
        time.sleep(0.1)
sum(range(3_000_000))
"""


def fake_side(name: str, program: str = _ANSWERS) -> Side:
    return Side(name, (sys.executable, "-c", program, "{input}", "{output}"))


def test_rows_ask_about_so_many_pictures(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    batch_pair.write_rows(path, 5, 2, size=(32, 24), tokens=3)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["custom_id"] for row in rows] == list("01234")
    parts = [row["body"]["messages"][0]["content"] for row in rows]
    urls = [part[0]["image_url"]["url"] for part in parts]
    assert urls[0] == urls[2] == urls[4] != urls[1] == urls[3]
    assert len({part[1]["text"] for part in parts}) == 5
    batch_pair.write_rows(path, 1, 0, size=(32, 24), tokens=3)
    assert len(json.loads(path.read_text())["body"]["messages"][0]["content"]) == 1


def test_a_run_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    batch_pair.write_rows(path, 4, 0, size=(32, 24), tokens=3)
    found = batch_pair.run_once(fake_side("one"), path, tmp_path)
    assert found.rows == 3
    assert 0.3 <= found.first_row_seconds < found.seconds - 0.2
    assert found.cpu_seconds > 0
    assert found.peak_memory_bytes > 1 << 20


def test_a_run_that_fails_shows_its_last_words(tmp_path: Path) -> None:
    side = fake_side("one", "import sys; sys.exit('out of luck')")
    with pytest.raises(EngineStartError, match=r"(?s)one ended with 1.*out of luck"):
        batch_pair.run_once(side, tmp_path / "rows", tmp_path)


def test_turns_and_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(batch_pair, "batch_side", lambda kind, *_: fake_side(kind))
    path = tmp_path / "batch.json"
    assert main(["bench", "batch", "--rows", "3", "--pictures", "0", "--json", str(path)]) == 0
    names = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert names == [
        "sensorium 1",
        "sensorium 2",
        "sensorium, mean",
        "vllm 1",
        "vllm 2",
        "vllm, mean",
    ]
    assert [run["rows"] for run in json.loads(path.read_text())["runs"]["vllm"]] == [2, 2]


@pytest.mark.parametrize("wrong", [["--rows", "0"], ["--size", "big"], ["--size", "0x4"]])
def test_what_is_no_load_is_refused(wrong: list[str]) -> None:
    assert main(["bench", "batch", *wrong]) == 2
