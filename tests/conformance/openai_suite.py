"""openai-python's own tests: fetched as its source distribution, adapted, run, and judged.

They were written for a mock server that takes any value; what is adapted and what is excluded, with
the reasons, is in `openai_suite.toml`. None of their code is part of this repository.
"""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from sensorium.model_adapters import store

TABLE = Path(__file__).with_name("openai_suite.toml")
SECONDS = 240
_SETTINGS = """\
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = session
timeout = 60
"""


@dataclass(frozen=True)
class Exclusion:
    """Tests that are known to fail: patterns of their names, and why."""

    tests: tuple[str, ...]
    reason: str

    def covers(self, name: str) -> bool:
        """Whether one of the patterns is that test's; those that send nothing have to pass."""
        sends = "::test_path_params_" not in name
        return sends and any(fnmatch.fnmatchcase(name, pattern) for pattern in self.tests)


@dataclass(frozen=True)
class Verdict:
    """What the results mean, given the exclusions; all three lists empty is a pass."""

    failed: list[str]
    mended: list[str]
    unused: list[str]
    counts: dict[str, int]


def read_table() -> dict[str, Any]:
    """The modules to run, the adaptations and the exclusions."""
    return tomllib.loads(TABLE.read_text("utf-8"))


def fetch_sdist() -> Path:
    """The source distribution of the installed `openai`, downloaded once into the user's cache."""
    name = f"openai-{version('openai')}"
    folder = store.home() / "conformance"
    path = folder / f"{name}.tar.gz"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    wanted = f"openai=={version('openai')}"
    download = ["pip", "download", "--quiet", "--no-deps", "--no-binary", "openai", wanted]
    done = subprocess.run(
        [sys.executable, "-m", *download, "--dest", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"pip could not download the source of {wanted}:\n{done.stderr}")
    return path


def unpack(sdist: Path, folder: Path) -> None:
    """Put the distribution's tests below `folder`, with settings of their own."""
    with tarfile.open(sdist) as archive:
        root = archive.next()
        prefix = f"{root.name.partition('/')[0]}/tests/" if root else ""
        for member in archive:
            if member.isfile() and member.name.startswith(prefix):
                member.name = member.name[len(prefix) - len("tests/") :]
                archive.extract(member, folder, filter="data")
    (folder / "pytest.ini").write_text(_SETTINGS, "utf-8")


def adapt(folder: Path, adaptations: Iterable[Mapping[str, Any]]) -> int:
    """Replace the values only a mock can take; returns how many places were changed.

    Raises LookupError when an adaptation finds nothing, so that none outlives its use.
    """
    places = 0
    for adaptation in adaptations:
        for module in adaptation["modules"]:
            path = folder / "tests" / "api_resources" / f"{module}.py"
            put = adaptation["put"].replace("\\", r"\\")
            text, found = re.subn(adaptation["find"], put, path.read_text("utf-8"))
            if not found:
                raise LookupError(f"{adaptation['find']!r} is not in {module} any more")
            path.write_text(text, "utf-8")
            places += found
    return places


def run(folder: Path, modules: Iterable[str], base_url: str, sound: Path) -> dict[str, str]:
    """Run the modules against a server: each test's name -> "" or how it failed."""
    report = folder / "report.xml"
    paths = [f"tests/api_resources/{module}.py" for module in modules]
    options = ["-q", "-c", "pytest.ini", "-p", "no:cacheprovider", "--tb=line"]
    environment = {
        **os.environ,
        "TEST_API_BASE_URL": base_url,
        "SENSORIUM_TEST_SOUND": str(sound),
        "PYTHONPATH": str(folder),  # the suite imports itself as `tests`
        "PYTEST_ADDOPTS": "",
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--junitxml={report}", *paths],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"the suite did not run:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
    return _read_report(report)


def _read_report(report: Path) -> dict[str, str]:
    results: dict[str, str] = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        fault = next((e for tag in ("failure", "error", "skipped") for e in case.iter(tag)), None)
        said = "" if fault is None else fault.get("message") or fault.tag
        results[_name(case.get("classname", ""), case.get("name", ""))] = said
    return results


def _name(classname: str, name: str) -> str:
    """`chat/test_completions::test_method_create::strict-async`: without brackets, for patterns."""
    _, _, rest = classname.partition("api_resources.")
    *module, klass = rest.split(".")
    function, _, variant = name.rstrip("]").partition("[")
    suffix = "-async" if "Async" in klass else ""
    return f"{'/'.join(module)}::{function}::{variant}{suffix}"


def judge(results: Mapping[str, str], exclusions: Iterable[Exclusion]) -> Verdict:
    """Find failures that are not excluded, excluded tests that pass, and idle patterns."""
    exclusions = list(exclusions)
    excluded = {name for name in results if any(e.covers(name) for e in exclusions)}
    patterns = [pattern for exclusion in exclusions for pattern in exclusion.tests]
    passed = {name for name, fault in results.items() if not fault}
    return Verdict(
        failed=[f"{n}: {f}" for n, f in results.items() if f and n not in excluded],
        mended=sorted(passed & excluded),
        unused=[p for p in patterns if not any(fnmatch.fnmatchcase(n, p) for n in results)],
        counts={
            "passed": len(passed),
            "of them without a request": sum("::test_path_params_" in name for name in passed),
            "excluded": len(excluded),
        },
    )


def exclusions_of(table: Mapping[str, Any]) -> list[Exclusion]:
    """The table's exclusions."""
    return [Exclusion(tuple(row["tests"]), row["reason"]) for row in table["exclude"]]
