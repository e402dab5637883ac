"""Bring vLLM to a machine that has a GPU and torch, but no package index, in files of one size.

    python scripts/carry.py pack PARTS --there there.txt       # here
    python carry.py unpack PARTS --into site                   # there, with carry.py out of PARTS

`there.txt` is that machine's `pip list --format=freeze`: what it has is not carried, nor are torch
and NVIDIA's libraries, unless they are named. Of vLLM's wheel only those libraries are carried that
dense models of bfloat16 need on the GPU's generation: 100 MB of 283. `unpack` checks every file
against its wheel's RECORD before it installs. It needs nothing but Python and pip.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["carried", "join", "main", "slim", "split", "wrong_files"]

ROOT = Path(__file__).resolve().parent.parent
PINNED = ROOT / "constraints" / "cuda.txt"
SUMS = "SHA256SUMS"
PART_BYTES = 60_000_000
PLATFORMS = [f"manylinux_2_{n}_x86_64" for n in (39, 34, 31, 28, 27, 24, 17, 12, 5)]
PLATFORMS += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]
# Of vLLM's wheel: for quantised and mixture-of-experts models, other attention, and a front end in
# Rust, none of which the measurements start.
LEFT_OUT = (
    r"vllm/vllm-rs$",
    r"vllm/third_party/.*\.(so|h|hpp|cuh|inl)$",
    r"vllm/_(moe_C_stable_libtorch|deepselect_C|flashmla_C|flashmla_extension_C|flashkda_C|qutlass_C)"
    r"\.abi3\.so$",
)
FLASH_ATTENTION = r"vllm/vllm_flash_attn/_vllm_fa{}_C\.abi3\.so$"
LOADED = ROOT / "constraints" / "server-imports.txt"


def main(arguments: Sequence[str] | None = None) -> None:
    """Pack or unpack."""
    parser = argparse.ArgumentParser("carry.py", description="Carry vLLM to a machine by files.")
    steps = parser.add_subparsers(dest="step", required=True)
    pack = steps.add_parser("pack", help="download, thin out and split")
    pack.add_argument("parts", type=Path, help="folder to write")
    pack.add_argument("--there", type=Path, help="`pip list --format=freeze` of the machine")
    pack.add_argument("--with", dest="more", nargs="+", default=[], metavar="NAME==VERSION")
    pack.add_argument("--python", default="3.12", metavar="X.Y", help="Python of the machine")
    pack.add_argument("--capability", default="9.0", metavar="X.Y", help="of its GPU")
    unpack = steps.add_parser("unpack", help="join, check and install")
    unpack.add_argument("parts", type=Path)
    unpack.add_argument("--into", type=Path, required=True, help="folder for PYTHONPATH")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="sensorium-carry-") as folder:
        wheels = Path(folder) / "wheels"
        wheels.mkdir()
        if options.step == "pack":
            there = options.there.read_text() if options.there else ""
            names = carried(LOADED.read_text(), PINNED.read_text(), there) + options.more
            _download(names, options.python, wheels)
            _thin_out(wheels, options.capability)
            sizes = split(wheels, options.parts)
            shutil.copy(__file__, options.parts)
            print(f"{len(list(wheels.iterdir()))} wheels, {len(sizes)} parts, {sum(sizes)} bytes")
        else:
            join(options.parts, wheels)
            _install(wheels, options.into)


def carried(loaded: str, pinned: str, there: str) -> list[str]:
    """`name==version` of what a server loads, as pinned, and the machine has not in any version."""
    versions, present = dict(_pins(pinned)), dict(_pins(there))
    names = [name for name in loaded.split("\n") if name and not name.startswith("#")]
    if unknown := [name for name in names if name not in versions]:
        raise SystemExit(f"carry: no version is pinned of {', '.join(unknown)}")
    return [f"{name}=={versions[name]}" for name in names if name not in present]


def _pins(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, equals, version = line.split(";")[0].partition("==")
        if equals and not line.startswith("#"):
            yield re.sub(r"[-_.]+", "-", name.strip()).lower(), version.strip()


def _download(names: Sequence[str], python: str, wheels: Path) -> None:
    """The wheels of these, and our own, which brings vLLM's plugin."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--python-version", python, "--dest", str(wheels)]
    for name in PLATFORMS:
        command += ["--platform", name]
    subprocess.run([*command, *names], check=True)
    own = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    with tempfile.TemporaryDirectory() as folder:
        # Else setuptools leaves copies of all files in the checkout.
        settings = Path(folder) / "build.cfg"
        settings.write_text(f"[build]\nbuild_base={folder}\n[egg_info]\negg_base={folder}\n")
        environment = {**os.environ, "DIST_EXTRA_CONFIG": str(settings)}
        command = [*own, "--wheel-dir", str(wheels), str(ROOT)]
        subprocess.run(command, check=True, env=environment)


def _thin_out(wheels: Path, capability: str) -> None:
    """Take from vLLM's wheel what is not needed; flash attention 3 is for Hopper, 2 for others."""
    useless = FLASH_ATTENTION.format(2 if capability.startswith("9.") else 3)
    for wheel in wheels.glob("vllm-*.whl"):
        thin = wheel.with_suffix(".thin")
        slim(wheel, thin, [*LEFT_OUT, useless])
        thin.replace(wheel)


def slim(wheel: Path, target: Path, left_out: Sequence[str]) -> None:
    """Copy a wheel without the files whose names match; its RECORD forgets them."""
    pattern = re.compile("|".join(left_out))
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w") as made:
        for entry in source.infolist():
            if pattern.match(entry.filename):
                continue
            content = source.read(entry)
            if entry.filename.endswith(".dist-info/RECORD"):
                rows = content.decode().splitlines(keepends=True)
                content = "".join(row for row in rows if not pattern.match(_name(row))).encode()
            made.writestr(entry, content, zipfile.ZIP_DEFLATED)


def _name(row: str) -> str:
    return next(csv.reader([row]))[0]


def split(wheels: Path, parts: Path) -> list[int]:
    """Write the wheels as `part-000` and on, with their sums; the sizes of the parts."""
    parts.mkdir(parents=True, exist_ok=True)
    for old in parts.glob("part-*"):
        old.unlink()
    sizes: list[int] = []
    sums: list[str] = []
    with tempfile.TemporaryFile() as whole:
        with tarfile.open(fileobj=whole, mode="w") as tar:
            for wheel in sorted(wheels.iterdir()):
                tar.add(wheel, wheel.name)
        whole.seek(0)
        while content := whole.read(PART_BYTES):
            part = parts / f"part-{len(sizes):03d}"
            part.write_bytes(content)
            sizes.append(len(content))
            sums.append(f"{hashlib.sha256(content).hexdigest()}  {part.name}\n")
    (parts / SUMS).write_text("".join(sums))
    return sizes


def join(parts: Path, wheels: Path) -> None:
    """Put the parts together into `wheels`; exits for parts that are missing or spoilt."""
    whole = io.BytesIO()
    for line in (parts / SUMS).read_text().splitlines():
        wanted, name = line.split()
        part = parts / name
        if not part.is_file():
            raise SystemExit(f"carry: {part} is missing; send it again")
        content = part.read_bytes()
        if hashlib.sha256(content).hexdigest() != wanted:
            raise SystemExit(f"carry: {part} arrived with other bytes than it was sent with")
        whole.write(content)
    whole.seek(0)
    with tarfile.open(fileobj=whole) as tar:
        tar.extractall(wheels, filter="data")


def wrong_files(wheel: Path) -> list[str]:
    """Files of a wheel that are not as its RECORD says, or that it does not name."""
    with zipfile.ZipFile(wheel) as archive:
        [record] = [n for n in archive.namelist() if n.endswith(".dist-info/RECORD")]
        rows = list(csv.reader(archive.read(record).decode().splitlines()))
        found = {name for name in archive.namelist() if not name.endswith("/")}
        wrong = found.symmetric_difference(name for name, _, _ in rows)
        for name, wanted, _ in rows:
            if name in wrong or not wanted:
                continue
            kind, _, sum_ = wanted.partition("=")
            digest = hashlib.new(kind, archive.read(name)).digest()
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != sum_:
                wrong.add(name)
    return sorted(wrong)


def _install(wheels: Path, into: Path) -> None:
    found = sorted(wheels.glob("*.whl"))
    for wheel in found:
        if wrong := wrong_files(wheel):
            raise SystemExit(f"carry: {wheel.name} differs from its RECORD in {', '.join(wrong)}")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command += ["--no-compile", "--upgrade", "--target", str(into), *map(str, found)]
    subprocess.run(command, check=True)
    print(f"installed {len(found)} wheels; now: export PYTHONPATH={into.resolve()}")


if __name__ == "__main__":
    main()
