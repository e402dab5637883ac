"""Triton kernels compiled for GPUs that are not there, and what their machine code needs.

The compiler needs no driver; `cuobjdump`, which reads registers and instructions out of the result,
is part of Triton's wheel.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from sensorium.kernels.compile_options import COMPILE_OPTIONS

__all__ = ["SHARED_LIMIT", "TARGETS", "Machine", "compile_for"]

TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
# Bytes a block may use: opt-in limits of the CUDA programming guide; the LDS of CDNA 3.
SHARED_LIMIT = {"sm_80": 166912, "sm_90": 232448, "gfx942": 65536}
_TYPES = {
    torch.bfloat16: "bf16",
    torch.float16: "fp16",
    torch.float32: "fp32",
    torch.int32: "i32",
    torch.int64: "i64",
    torch.float8_e4m3fn: "fp8e4nv",
}
_TOOL = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"


@dataclass(frozen=True)
class Machine:
    """What a compiled kernel needs: registers a thread, spilled accesses, shared bytes a block."""

    registers: int
    spills: int
    shared: int
    matrix: str
    wide_loads: int


def compile_for(
    target: str, kernel: Any, arguments: dict[str, Any], constants: dict[str, Any], **options: int
) -> Machine:
    """Compile for `target`; `arguments` hold dtypes of pointers and values of numbers."""
    signature: dict[str, str] = {}
    fixed: dict[tuple[int, ...], Any] = {}
    hints: dict[tuple[int, ...], Any] = {}
    for place, name in enumerate(kernel.arg_names):
        if name in constants:
            signature[name], fixed[place,] = "constexpr", constants[name]
        elif isinstance(arguments[name], torch.dtype):
            signature[name] = "*" + _TYPES[arguments[name]]
            hints[place,] = [["tt.divisibility", 16]]
        else:
            signature[name] = "i32"
    source = ASTSource(kernel, signature, constexprs=fixed, attrs=hints)
    done = triton.compile(source, target=TARGETS[target], options={**options, **COMPILE_OPTIONS})
    return _amd(done) if "amdgcn" in done.asm else _nvidia(done)


def _amd(done: Any) -> Machine:
    text = done.asm["amdgcn"]

    def number(name: str) -> int:
        found = re.search(rf"\.{name}:\s*(\d+)", text)
        assert found, name
        return int(found[1])

    spills = number("vgpr_spill_count") + number("sgpr_spill_count")
    matrix = "mfma" if "v_mfma" in text else ""
    wide = len(re.findall(r"(?:global|buffer)_load_dwordx4", text))
    return Machine(number("vgpr_count"), spills, done.metadata.shared, matrix, wide)


def _nvidia(done: Any) -> Machine:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(done.asm["cubin"])
        usage, code = (
            subprocess.run([_TOOL, flag, path], capture_output=True, text=True, check=True).stdout
            for flag in ("-res-usage", "-sass")
        )
    registers = re.search(r"REG:(\d+)", usage)
    assert registers, usage
    spills = len(re.findall(r"\b(?:LDL|STL)\b", code))
    matrix = next((name for name in ("QGMMA", "HGMMA", "HMMA") if name in code), "")
    wide = len(re.findall(r"LDG\.E\.(?:\w+\.)*128", code))
    return Machine(int(registers[1]), spills, done.metadata.shared, matrix, wide)
