"""Mending torchvision, torchaudio and torchcodec builds that do not fit a CPU torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sensorium.serving.mend import Finding, needed_steps, probe, repair
from sensorium.serving.mend.probe import COMPANIONS
from sensorium.serving.mend.repair import HOOK_MODULE, HOOK_SOURCE, hook_is_current, install_hook

CPU_TORCH = Finding("torch", "sound", "2.13.0+cpu")
CUDA_TORCH = Finding("torch", "sound", "2.13.0+cu130", cuda="13.0")
BROKEN = {
    name: Finding(name, "broken", "1.0", detail="OSError: libc10_cuda.so") for name in COMPANIONS
}
SOUND = {name: Finding(name, "sound", "1.0+cpu") for name in COMPANIONS}


def actions(findings: dict[str, Finding], *, hook_current: bool = False) -> list[tuple[str, str]]:
    return [
        (step.action, step.library) for step in needed_steps(findings, hook_current=hook_current)
    ]


class TestNeededSteps:
    def test_builds_for_cuda_beside_a_cpu_torch_are_mended(self) -> None:
        assert actions({"torch": CPU_TORCH, **BROKEN}) == [
            ("install-hook", "torchvision"),
            ("uninstall", "torchaudio"),
            ("uninstall", "torchcodec"),
        ]

    def test_sound_builds_are_left_alone(self) -> None:
        assert actions({"torch": CPU_TORCH, **SOUND}) == []

    def test_absent_libraries_need_nothing(self) -> None:
        absent = {name: Finding(name, "absent") for name in COMPANIONS}
        assert actions({"torch": CPU_TORCH, **absent}) == []

    @pytest.mark.parametrize(
        "torch", [CUDA_TORCH, Finding("torch", "absent"), Finding("torch", "broken")]
    )
    def test_only_a_sound_cpu_torch_is_mended_around(self, torch: Finding) -> None:
        assert actions({"torch": torch, **BROKEN}) == []

    def test_a_hook_of_another_version_is_replaced(self) -> None:
        patched = {**SOUND, "torchvision": Finding("torchvision", "patched", "1.0")}
        found = {"torch": CPU_TORCH, **patched}
        assert actions(found, hook_current=False) == [("install-hook", "torchvision")]
        assert actions(found, hook_current=True) == []


class TestMend:
    """The whole run, with the probe and pip replaced."""

    def run(
        self, monkeypatch: pytest.MonkeyPatch, folder: Path, *probes: dict[str, Finding]
    ) -> tuple[bool, list[str], list[str]]:
        answers = iter(probes)
        removed: list[str] = []

        def uninstall(library: str, say: object) -> bool:
            removed.append(library)
            return True

        monkeypatch.setattr(repair, "probe", lambda: next(answers))
        monkeypatch.setattr(repair, "site_packages", lambda: folder)
        monkeypatch.setattr(repair, "uninstall", uninstall)
        said: list[str] = []
        return repair.mend(said.append), said, removed

    def test_says_what_it_did(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        before = {"torch": CPU_TORCH, **BROKEN}
        absent = {name: Finding(name, "absent") for name in ("torchaudio", "torchcodec")}
        after = {
            "torch": CPU_TORCH,
            "torchvision": Finding("torchvision", "patched", "0.28.0+cu130"),
            **absent,
        }
        mended, said, removed = self.run(monkeypatch, tmp_path, before, after)
        assert mended
        assert removed == ["torchaudio", "torchcodec"]
        assert hook_is_current(tmp_path)
        assert [line.split(";")[0] for line in said[:3]] == [
            "mend: torchvision does not fit this torch",
            "mend: torchaudio does not fit this torch",
            "mend: torchcodec does not fit this torch",
        ]
        assert "torchvision 0.28.0+cu130 without operators" in said[-1]

    def test_changes_nothing_on_a_sound_installation(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        mended, said, removed = self.run(monkeypatch, tmp_path, {"torch": CPU_TORCH, **SOUND})
        assert mended
        assert said[0].startswith("mend: nothing to mend (torch 2.13.0+cpu")
        assert removed == []
        assert list(tmp_path.iterdir()) == []

    def test_beside_cuda_it_only_reports(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        mended, said, _ = self.run(monkeypatch, tmp_path, {"torch": CUDA_TORCH, **BROKEN})
        assert not mended
        assert "torchaudio 1.0 does not import: OSError: libc10_cuda.so" in said[1]
        assert list(tmp_path.iterdir()) == []

    def test_fails_without_torch(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        mended, said, _ = self.run(monkeypatch, tmp_path, {"torch": Finding("torch", "absent")})
        assert not mended
        assert said == ["mend: torch is absent: install it first"]


class TestProbe:
    """The child process, on libraries made up for the purpose."""

    @pytest.fixture(autouse=True)
    def library_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        return tmp_path

    def test_a_library_that_imports_is_sound(self, library_folder: Path) -> None:
        (library_folder / "fine.py").write_text("")
        assert probe(["fine"]) == {"fine": Finding("fine", "sound")}

    def test_a_library_that_is_not_there_is_absent(self) -> None:
        assert probe(["not_there"])["not_there"].state == "absent"

    def test_an_error_is_a_finding_with_its_first_line(self, library_folder: Path) -> None:
        (library_folder / "bad.py").write_text("raise OSError('no such library\\nat all')")
        assert probe(["bad"])["bad"].detail == "OSError: no such library"

    def test_a_crash_is_a_finding_and_the_rest_is_still_tried(self, library_folder: Path) -> None:
        (library_folder / "crash.py").write_text("import os; os._exit(9)")
        (library_folder / "fine.py").write_text("print('{not a finding')".replace("{", ""))
        found = probe(["crash", "fine"])
        assert found["crash"].state == "broken"
        assert "exit code 9" in found["crash"].detail
        assert found["fine"].state == "sound"


FAKE_TORCH = """
class version: cuda = {cuda!r}
defined = []
class library:
    class Library:
        def __init__(self, namespace, kind): self.namespace = namespace
        def define(self, schema): defined.append(self.namespace + "::" + schema.split("(")[0])
class ops:
    class torchvision: pass
    @staticmethod
    def load_library(path):
        if not {loads}: raise OSError(path)
"""
USE_HOOK = """
import importlib.util, json, sys
sys.path[:0] = [{hook!r}, {libraries!r}]
import _sensorium_torchvision_hook as hook
found = importlib.util.find_spec("torchvision").name
early = "torch" in sys.modules
import torchvision, torch
hook.install()
hooks = sum(isinstance(f, hook.TorchvisionFinder) for f in sys.meta_path)
print(json.dumps([found, early, torch.defined, torchvision.loaded, hooks]))
"""


class TestHook:
    """The import hook, in an interpreter of its own with made-up torch and torchvision."""

    def use(self, folder: Path, *, cuda: str | None = None, loads: bool = False) -> list[object]:
        libraries = folder / "libraries"
        (libraries / "torchvision").mkdir(parents=True)
        (libraries / "torch.py").write_text(FAKE_TORCH.format(cuda=cuda, loads=loads))
        (libraries / "torchvision" / "__init__.py").write_text("loaded = True")
        (libraries / "torchvision" / "_C.so").write_bytes(b"")
        install_hook(folder)
        code = USE_HOOK.format(hook=str(folder), libraries=str(libraries))
        start = [sys.executable, "-I", "-S", "-c", code]
        done = subprocess.run(start, check=True, capture_output=True, text=True)
        answer: list[object] = json.loads(done.stdout)
        return answer

    def test_declares_the_operators_when_the_compiled_part_does_not_load(
        self, tmp_path: Path
    ) -> None:
        declared = ["torchvision::nms", "torchvision::qnms"]
        assert self.use(tmp_path) == ["torchvision", False, declared, True, 1]

    def test_leaves_a_sound_torchvision_alone(self, tmp_path: Path) -> None:
        assert self.use(tmp_path, loads=True) == ["torchvision", False, [], True, 1]

    def test_leaves_cuda_alone(self, tmp_path: Path) -> None:
        assert self.use(tmp_path, cuda="13.0") == ["torchvision", False, [], True, 1]

    def test_acts_at_interpreter_start_and_imports_nothing(self, tmp_path: Path) -> None:
        install_hook(tmp_path)
        code = (
            f"import site, sys; before = set(sys.modules); site.addsitedir({str(tmp_path)!r}); "
            "print(sorted(set(sys.modules) - before))"
        )
        # Without site: an installation that is mended has the hook already.
        start = [sys.executable, "-I", "-S", "-c", code]
        done = subprocess.run(start, check=True, capture_output=True, text=True)
        assert done.stdout.strip() == f"['{HOOK_MODULE}']"

    def test_an_older_hook_is_not_current(self, tmp_path: Path) -> None:
        install_hook(tmp_path)
        assert hook_is_current(tmp_path)
        (tmp_path / f"{HOOK_MODULE}.py").write_bytes(HOOK_SOURCE.read_bytes() + b"#")
        assert not hook_is_current(tmp_path)


@pytest.mark.engine
def test_torchvision_and_transformers_import_here() -> None:
    """What this installation really has: the check that every other engine test stands on."""
    code = (
        "import torchvision; "
        "from transformers import Qwen3OmniMoeProcessor, WhisperForConditionalGeneration; "
        "from torchvision.transforms import v2"
    )
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
