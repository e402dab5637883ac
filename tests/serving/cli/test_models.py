import json
from pathlib import Path

import pytest

from sensorium.model_adapters import store
from sensorium.serving.cli import main as cli


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SENSORIUM_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    return tmp_path


def test_the_table_tells_what_is_here_and_how_to_get_the_rest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NAME", "HERE", "SIZE", "LICENCE", "WHAT", "IT", "DOES"]
    whisper = next(line for line in lines if line.startswith("whisper-base"))
    assert whisper.split()[1:5] == ["no", "147", "MB", "MIT"]
    assert "`sensorium pull whisper-base` fetches whisper-base." in lines


def test_json_has_the_path_of_what_is_here(capsys: pytest.CaptureFixture[str]) -> None:
    place = store.install("whisper-base", {}, lambda folder: None)
    assert cli.main(["models", "--json"]) == 0
    entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert list(entries) == ["demo", "whisper-base"]
    assert entries["whisper-base"]["installed"] is True
    assert entries["whisper-base"]["path"] == str(place)
    assert entries["whisper-base"]["licence"] == "MIT"
    assert set(entries["demo"]) == {
        "name",
        "installed",
        "path",
        "size",
        "licence",
        "origin",
        "summary",
    }
