"""What the machine has: processor, memory, graphics cards. Read from the system, no library."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Gpu", "Machine", "Memory", "look"]

# What vLLM's CPU kernels choose between, weakest first.
INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "bf16")
GPU_FIELDS = "name,memory.total,memory.free,driver_version"
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Memory:
    """Bytes of main memory, and how many of them a new process can have."""

    total: int
    available: int


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA card; memory in bytes."""

    name: str
    total: int
    free: int
    driver: str


@dataclass(frozen=True)
class Machine:
    """The machine as it is seen from here: cores this process may use, memory it may have."""

    processor: str
    cores: int
    instructions: tuple[str, ...]
    memory: Memory | None
    gpus: tuple[Gpu, ...]


def look() -> Machine:
    """Look at the machine now."""
    text = _read(Path("/proc/cpuinfo"))
    name, flags = parse_cpuinfo(text)
    return Machine(
        processor=name or platform.processor() or platform.machine(),
        cores=_cores(),
        instructions=tuple(flag for flag in INSTRUCTION_SETS if flag in flags),
        memory=read_memory(Path("/proc/meminfo"), CGROUP),
        gpus=parse_gpus(_ask_nvidia_smi()),
    )


def parse_cpuinfo(text: str) -> tuple[str, frozenset[str]]:
    """The processor's name and its instruction-set flags, from the text of `/proc/cpuinfo`."""
    name, flags = "", frozenset[str]()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            name = name or value.strip()
        elif key.strip() in ("flags", "Features"):
            flags = flags or frozenset(value.split())
    return name, flags


def read_memory(meminfo: Path, cgroup: Path) -> Memory | None:
    """Memory of the machine, or of the container (cgroup version 2) where that is less."""
    fields = {}
    for line in _read(meminfo).splitlines():
        key, _, value = line.partition(":")
        amount, *unit = value.split() or [""]
        if amount.isdigit() and unit == ["kB"]:
            fields[key] = int(amount) * 1024
    if "MemTotal" not in fields:
        return None
    total, available = fields["MemTotal"], fields.get("MemAvailable", fields["MemTotal"])
    limit, used = _read(cgroup / "memory.max").strip(), _read(cgroup / "memory.current").strip()
    if limit.isdigit() and used.isdigit() and int(limit) < total:
        # Pages of files that were read count as used and can be given up.
        cache = _cgroup_file_cache(_read(cgroup / "memory.stat"))
        total = int(limit)
        available = max(0, min(available, total - int(used) + cache))
    return Memory(total, available)


def parse_gpus(text: str) -> tuple[Gpu, ...]:
    """Cards from `nvidia-smi --query-gpu=... --format=csv,noheader,nounits` (memory in MiB)."""
    gpus = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == len(GPU_FIELDS.split(",")):
            name, total, free, driver = fields
            gpus.append(Gpu(name, _mib(total), _mib(free), driver))
    return tuple(gpus)


def _mib(text: str) -> int:
    return int(text) << 20 if text.isdigit() else 0


def _cgroup_file_cache(stat: str) -> int:
    for line in stat.splitlines():
        key, _, value = line.partition(" ")
        if key == "inactive_file":
            return int(value)
    return 0


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _ask_nvidia_smi() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    ask = [program, f"--query-gpu={GPU_FIELDS}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(ask, check=False, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
