"""What engine processes do for the server they belong to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from sensorium.serving.engine.plugin import GROUP_VARIABLE, _below_a_server, leave_process_group

# A parent that starts a child which follows it, says the child's number, and is killed.
CHILD = (
    "import time; from sensorium.serving.engine.plugin import follow_parent; "
    "follow_parent(0.02); print(flush=True); time.sleep(60)"
)
PARENT = f"""
import os, signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("server", "below"),
    [(None, False), ("1", True), (str(os.getpid()), False)],
    ids=["no server", "another", "itself"],
)
def test_only_processes_below_a_server_are_touched(
    monkeypatch: pytest.MonkeyPatch, server: str | None, below: bool
) -> None:
    monkeypatch.delenv(GROUP_VARIABLE, raising=False)
    if server is not None:
        monkeypatch.setenv(GROUP_VARIABLE, server)
    assert _below_a_server() is below


@pytest.mark.parametrize("leads", [True, False])
def test_the_group_is_left_once(monkeypatch: pytest.MonkeyPatch, leads: bool) -> None:
    left: list[bool] = []
    monkeypatch.setattr("os.setpgrp", lambda: left.append(True))
    monkeypatch.setattr("os.getpgrp", lambda: os.getpid() if leads else 1)
    leave_process_group()
    assert left == ([] if leads else [True])


def test_an_engine_ends_with_its_server() -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    parent = subprocess.Popen([sys.executable, "-c", PARENT], text=True, **pipes)
    # The child holds the other end of stderr: this returns once it has ended too, long before its
    # minute is over, or fails.
    parent.communicate(timeout=30)
    assert parent.returncode == -signal.SIGKILL


@pytest.mark.engine
def test_families_are_known_before_models_start_side_by_side() -> None:
    code = (
        "from sensorium.serving.engine.vllm_engine import import_vllm; import_vllm(); "
        "from vllm.transformers_utils import config; "
        "print(config._CONFIG_FORMAT_TO_CONFIG_PARSER['hf'].reads_composed)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.splitlines()[-1] == "True"
