"""What `make` would run: it installs once, and again only when the set-up changes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSTALLER = "scripts/install.py"

# Not the whole of ours: these tests may themselves have been started by make, with its variables.
ENVIRONMENT = {"PATH": os.environ["PATH"]}

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def plan(*arguments: str, folder: Path = ROOT) -> str:
    """The commands that make would run in `folder`."""
    start = ["make", "--no-print-directory", "--dry-run", *arguments]
    return subprocess.run(
        start, check=True, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True
    ).stdout


@pytest.fixture
def installed(tmp_path: Path) -> list[str]:
    """Arguments that point make to an environment which is installed for key `k`, to serve."""
    (tmp_path / ".installed-k-serve").touch()
    return [f"VENV={tmp_path}", "KEY=k", "DEVICE=cpu"]


def test_help_is_the_default() -> None:
    assert plan() == plan("help")
    assert "make serve" in plan()


def test_the_first_serve_installs(tmp_path: Path) -> None:
    steps = plan("serve", f"VENV={tmp_path}", "DEVICE=cpu")
    assert f"{INSTALLER} --venv {tmp_path} --device cpu\n" in steps


def test_the_second_serve_installs_nothing(installed: list[str]) -> None:
    steps = plan("serve", *installed)
    assert INSTALLER not in steps
    assert "sensorium pull whisper-base" in steps


def test_a_model_of_ones_own_needs_no_whisper(installed: list[str]) -> None:
    steps = plan("serve", *installed, "MODEL=./mine", "HOST=::1", "PORT=9000", "ARGS=--dtype auto")
    assert "pull" not in steps
    assert "sensorium serve ./mine --host ::1 --port 9000 --dtype auto" in steps


def test_checking_needs_the_tools(installed: list[str]) -> None:
    assert f"{INSTALLER} --venv" in plan("check", *installed)
    assert "--extras dev\n" in plan("check", *installed)


def test_install_installs_again(installed: list[str], tmp_path: Path) -> None:
    (tmp_path / ".installed-k-dev").touch()
    assert INSTALLER not in plan("check", *installed)
    assert INSTALLER in plan("install", *installed)


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints/cpu.txt", INSTALLER])
def test_a_changed_set_up_is_another_key(changed: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name in ("Makefile", "pyproject.toml", "constraints/cpu.txt", INSTALLER):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    before = plan("install", "DEVICE=cpu", folder=copy)
    (copy / changed).write_text("changed\n")
    assert plan("install", "DEVICE=cpu", folder=copy) != before


def test_the_tests_run_in_one_go(installed: list[str], tmp_path: Path) -> None:
    (tmp_path / ".installed-k-dev").touch()
    steps = plan("test", *installed)
    assert steps.count("/bin/pytest") == 1
    assert steps.rstrip().splitlines()[-1].endswith('-m "not gpu"')
