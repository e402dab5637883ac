import json
import subprocess
import sys
from pathlib import Path

import pytest

from sensorium.model_adapters import store

HOLD = """
import sys
from sensorium.model_adapters import store
with store.locked("m", lambda: None):
    print("held", flush=True)
    sys.stdin.readline()
"""

ACQUIRE = """
from sensorium.model_adapters import store
with store.locked("m", lambda: print("waiting", flush=True)):
    print("mine", flush=True)
"""


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SENSORIUM_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    return tmp_path


def write(text: str) -> store.Write:
    def fill(folder: Path) -> None:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text(text)

    return fill


def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.home() == tmp_path
    monkeypatch.delenv("SENSORIUM_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert store.home() == Path("/xdg/sensorium")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/ada")
    assert store.models_directory() == Path("/home/ada/.cache/sensorium/models")
    monkeypatch.setenv("SENSORIUM_HOME", "~/own")
    assert store.home() == Path("/home/ada/own")


def test_install_writes_a_manifest_of_every_file() -> None:
    place = store.install("m", {"wheel": "sha"}, write("hello"))
    assert place == store.models_directory() / "m"
    manifest = json.loads((place / store.MANIFEST).read_text())
    assert manifest == {"name": "m", "provenance": {"wheel": "sha"}, "files": {"sub/file": 5}}
    assert store.is_whole(place)


def test_install_replaces_what_is_there() -> None:
    store.install("m", {}, write("old"))
    place = store.install("m", {}, write("newer"))
    assert (place / "sub" / "file").read_text() == "newer"
    assert [path.name for path in store.models_directory().iterdir()] == ["m"]


def test_a_failure_leaves_the_old_model_and_no_remains() -> None:
    place = store.install("m", {}, write("old"))

    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.install("m", {}, fail)
    assert (place / "sub" / "file").read_text() == "old"
    assert [path.name for path in store.models_directory().iterdir()] == ["m"]


def test_remains_of_a_killed_process_are_swept_away() -> None:
    directory = store.models_directory()
    for name in (".m.partial", ".m.old", ".m.download", "m"):
        (directory / name / "torn").mkdir(parents=True)
    assert not store.is_whole(directory / "m")
    with store.scratch("m") as scratch:
        assert list(scratch.iterdir()) == []
        place = store.install("m", {}, write("whole"))
    assert store.is_whole(place)
    assert [path.name for path in directory.iterdir()] == ["m"]


@pytest.mark.parametrize("manifest", ["", "{", "[]", "{}", '{"files": 3}', '{"files": {"a": 1}}'])
def test_a_folder_without_a_good_manifest_is_not_whole(tmp_path: Path, manifest: str) -> None:
    (tmp_path / store.MANIFEST).write_text(manifest)
    assert not store.is_whole(tmp_path)


def test_a_second_process_waits_for_the_first() -> None:
    with (
        subprocess.Popen(
            [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as first,
        subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.readline()\n" + ACQUIRE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as second,
    ):
        assert first.stdin and first.stdout and second.stdin and second.stdout
        assert first.stdout.readline() == "held\n"
        second.stdin.write("go\n")
        second.stdin.flush()
        assert second.stdout.readline() == "waiting\n"
        first.stdin.write("let go\n")
        first.stdin.flush()
        assert second.stdout.readline() == "mine\n"


def test_a_free_lock_needs_no_waiting() -> None:
    with store.locked("m", lambda: pytest.fail("waited")):
        pass
