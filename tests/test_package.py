"""The package as others see it: what it imports, what a wheel holds, what its commands say."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import sensorium
from sensorium.serving.cli.main import COMMANDS
from tests.kit.snapshots import check_snapshot

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("kernels", "model_adapters", "serving")
FOLDERS = (*LAYERS, "benchmarks")
# Libraries that no command may load before it knows what it is asked to do.
HEAVY = ("numpy", "pandas", "ray", "scipy", "torch", "transformers", "triton", "vllm")
LIST_HEAVY = f"; print([name for name in {HEAVY!r} if name in sys.modules])"


def python(code: str, *arguments: str, **environment: str) -> str:
    """Run `code` in the repository's root, where the folder `kernels` lies; return its output."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SENSORIUM_")}
    settings = {**inherited, "PYTHONSAFEPATH": "1", "COLUMNS": "80", **environment}
    start = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(
        start, check=True, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=120
    )
    return done.stdout


class TestHuggingFaceKernels:
    """Our folder `kernels` must not pass for Hugging Face's library of that name."""

    ASK = (
        "import json, sys, importlib.util; "
        "sys.path[:] = [p for p in sys.path if p not in sys.argv[1:]]; "
        "here = importlib.util.find_spec('sensorium') is not None; "
        "from transformers.utils import is_kernels_available as ask; "
        "spec = importlib.util.find_spec('kernels'); "
        "print(json.dumps([here, ask(), spec and spec.origin]))"
    )

    def test_transformers_answers_the_same_without_sensorium(self) -> None:
        pytest.importorskip("transformers", reason="an engine extra brings it")
        source = str(Path(sensorium.__file__).resolve().parent.parent)
        here, *with_us = json.loads(python(self.ASK))
        there, *without_us = json.loads(python(self.ASK, source))
        assert here
        if source in sys.path:
            assert not there
        assert with_us == without_us

    def test_their_files_and_ours_do_not_meet(self, wheel: zipfile.ZipFile) -> None:
        try:
            theirs = {str(path) for path in metadata.files("kernels") or ()}
        except metadata.PackageNotFoundError:
            theirs = {"kernels/__init__.py"}
        assert theirs.isdisjoint(wheel.namelist())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the wheel is made of, so that building leaves nothing behind."""
    copy = tmp_path_factory.mktemp("source")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("src", *FOLDERS):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    start = [sys.executable, "-m", *build, "--wheel-dir", str(folder), str(source)]
    done = subprocess.run(start, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


class TestWheel:
    def test_has_one_top_level_name(self, wheel: zipfile.ZipFile) -> None:
        names = {name.split("/")[0] for name in wheel.namelist()}
        information = f"sensorium-{sensorium.__version__}.dist-info"
        assert names == {"sensorium", information}

    def test_has_every_module(self, wheel: zipfile.ZipFile, source: Path) -> None:
        modules = [path for folder in FOLDERS for path in (source / folder).rglob("*.py")]
        wanted = {f"sensorium/{path.relative_to(source).as_posix()}" for path in modules}
        assert wanted - set(wheel.namelist()) == set()

    def test_has_the_demo_checkpoint(self, wheel: zipfile.ZipFile, source: Path) -> None:
        checkpoint = source / "model_adapters" / "demo" / "checkpoint"
        files = [path.relative_to(source) for path in checkpoint.rglob("*") if path.is_file()]
        assert files
        assert {f"sensorium/{path.as_posix()}" for path in files} <= set(wheel.namelist())

    def test_has_the_licence(self, wheel: zipfile.ZipFile) -> None:
        information = f"sensorium-{sensorium.__version__}.dist-info"
        text = wheel.read(f"{information}/licenses/LICENSE").decode()
        assert "Apache License" in text


def imported_names(path: Path) -> set[str]:
    """Full names of the modules that the file imports anywhere."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


class TestImportDirection:
    """serving -> model_adapters -> kernels, and never back."""

    @pytest.mark.parametrize("layer", LAYERS)
    def test_a_layer_imports_only_what_is_below_it(self, layer: str) -> None:
        above = [f"sensorium.{name}" for name in LAYERS[LAYERS.index(layer) + 1 :]]
        wrong = {
            f"{path.relative_to(ROOT)}: {name}"
            for path in (ROOT / layer).rglob("*.py")
            for name in imported_names(path)
            if any(name == upper or name.startswith(f"{upper}.") for upper in above)
        }
        assert wrong == set()

    def test_benchmarks_stay_outside_the_server(self) -> None:
        wrong = {
            f"{path.relative_to(ROOT)}: {name}"
            for path in (ROOT / "benchmarks").rglob("*.py")
            for name in imported_names(path)
            if name.startswith("sensorium.serving.") and not name.startswith(ALLOWED_IN_BENCHMARKS)
        }
        assert wrong == set()


ALLOWED_IN_BENCHMARKS = (
    "sensorium.serving.media.limits",  # what `bench media` measures
    "sensorium.serving.media.image_work",
    "sensorium.serving.media.pipeline",
    "sensorium.serving.media.pool",
    "sensorium.serving.media.prepared",
    "sensorium.serving.engine.short_work",
    "sensorium.serving.engine.connector",
    "sensorium.serving.engine.native_pictures",
    "sensorium.serving.client",
    "sensorium.serving.errors",
    "sensorium.serving.testing",
)


class TestCommandLine:
    @pytest.mark.parametrize("command", ["", *COMMANDS])
    def test_help_is_pinned_and_loads_nothing_heavy(self, command: str) -> None:
        code = (
            "import atexit, sys; from sensorium.serving.cli.main import main\n"
            "try: main(sys.argv[1:])\n"
            f"except SystemExit: pass\npass{LIST_HEAVY}"
        )
        *shown, heavy = python(code, *command.split(), "--help").splitlines()
        assert heavy == "[]"
        if sys.version_info[:2] in ((3, 11), (3, 12)):  # argparse words it otherwise elsewhere
            check_snapshot(f"help_{command or 'sensorium'}", "\n".join(shown))

    def test_an_unknown_command_is_refused(self) -> None:
        from sensorium.serving.cli.main import main

        with pytest.raises(SystemExit, match="2"):
            main(["no-such-command"])


class TestExportedNames:
    """The names that `__all__` promises, package by package."""

    @pytest.mark.parametrize("package", ["", *FOLDERS])
    def test_pinned(self, package: str) -> None:
        module = ".".join(filter(None, ["sensorium", package]))
        code = f"import json, {module} as m; print(json.dumps(getattr(m, '__all__', [])))"
        check_snapshot(f"names_{module}", "\n".join(json.loads(python(code))))

    def test_every_module_says_what_it_exports(self) -> None:
        silent = [
            str(path.relative_to(ROOT))
            for folder in FOLDERS
            for path in (ROOT / folder).rglob("*.py")
            if path.name not in ("__init__.py", "__main__.py") and not has_all(path)
        ]
        assert silent == []


def has_all(path: Path) -> bool:
    """Whether the module assigns `__all__`."""
    targets = [
        target
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)
