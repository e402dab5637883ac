"""Thinning wheels out, splitting, joining and installing them, with a wheel made here."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.scripts.loading import load_script

carry: Any = load_script("carry")
FILES = {
    "vllm/__init__.py": b"answer = 42\n",
    "vllm/_C_stable_libtorch.abi3.so": b"needed" * 1000,
    "vllm/_moe_C_stable_libtorch.abi3.so": b"not needed",
    "vllm/vllm_flash_attn/_vllm_fa2_C.abi3.so": b"for other GPUs",
    "vllm/vllm_flash_attn/_vllm_fa3_C.abi3.so": b"for Hopper",
    "vllm/third_party/cutlass/gemm.hpp": b"a header",
    "vllm/vllm-rs": b"a program",
    "vllm-0.32.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0\n",
    "vllm-0.32.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
}
NAME = "vllm-0.32.0-py3-none-any.whl"


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    record = "vllm-0.32.0.dist-info/RECORD"
    rows = []
    with zipfile.ZipFile(folder / NAME, "w") as wheel:
        for name, content in FILES.items():
            wheel.writestr(name, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            rows.append(f"{name},sha256={digest.decode()},{len(content)}\n")
        wheel.writestr(record, "".join([*rows, f"{record},,\n"]))
    return folder


@pytest.mark.parametrize(("capability", "kept"), [("9.0", "fa3"), ("8.0", "fa2")])
def test_only_what_dense_models_need_is_kept(wheels: Path, capability: str, kept: str) -> None:
    carry._thin_out(wheels, capability)
    with zipfile.ZipFile(wheels / NAME) as wheel:
        names = wheel.namelist()
    assert {name for name in names if name.startswith("vllm/")} == {
        "vllm/__init__.py",
        "vllm/_C_stable_libtorch.abi3.so",
        f"vllm/vllm_flash_attn/_vllm_{kept}_C.abi3.so",
    }
    assert carry.wrong_files(wheels / NAME) == []


def test_parts_make_an_installation(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carry, "PART_BYTES", 4000)
    sizes = carry.split(wheels, tmp_path / "parts")
    assert len(sizes) > 2
    assert max(sizes) == 4000
    carry.main(["unpack", str(tmp_path / "parts"), "--into", str(tmp_path / "site")])
    script = "import vllm; print(vllm.answer)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env={"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "42"


@pytest.mark.parametrize(("harm", "said"), [("lose", "is missing"), ("spoil", "other bytes")])
def test_a_part_that_did_not_arrive_whole(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str, said: str
) -> None:
    monkeypatch.setattr(carry, "PART_BYTES", 4000)
    carry.split(wheels, tmp_path / "parts")
    part = tmp_path / "parts" / "part-001"
    part.write_bytes(part.read_bytes()[:-1] + b"!") if harm == "spoil" else part.unlink()
    with pytest.raises(SystemExit, match=said):
        carry.join(tmp_path / "parts", tmp_path)


def test_a_wheel_that_differs_from_its_record_is_told(wheels: Path) -> None:
    with zipfile.ZipFile(wheels / NAME, "a") as wheel:
        wheel.writestr("vllm/added.py", "")
    assert carry.wrong_files(wheels / NAME) == ["vllm/added.py"]


def test_what_the_machine_has_is_not_carried() -> None:
    pinned = "Alpha.One==1.0\nbeta==2 ; python_version > '3'\ntorch==2.13.0\n"
    assert carry.carried("alpha-one\nbeta\n", pinned, "beta==1.9\n") == ["alpha-one==1.0"]
    with pytest.raises(SystemExit, match="no version is pinned of gamma"):
        carry.carried("gamma\n", pinned, "")


def test_all_that_a_server_loads_is_pinned() -> None:
    names = carry.carried(carry.LOADED.read_text(), carry.PINNED.read_text(), "")
    assert "vllm==0.32.0" in names
    assert not [name for name in names if name.startswith(("torch", "nvidia", "triton"))]
