"""The engine's log: kept back, passed on, remembered; in a process of its own, for its fds."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import os, sys
from sensorium.serving.engine.log import EngineLog
with EngineLog(hold=True) as log:
    os.write(2, b"noise of the engine\\n")
    os.write(1, b"ValueError: the cause\\n")
    print("ours", file=log.terminal, flush=True)
    log.release(show={show})
    os.write(2, b"after the release\\n")
    print("cause:", log.cause(), file=log.terminal, flush=True)
os.write(2, b"after the end\\n")
"""


def run(show: bool) -> str:
    command = [sys.executable, "-c", SCRIPT.format(show=show)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return done.stderr


def test_a_failed_start_shows_what_was_held_back() -> None:
    lines = run(show=True).splitlines()
    assert lines[0] == "ours"
    assert "noise of the engine" in lines
    assert "cause: ValueError: the cause" in lines
    assert "after the end" in lines


def test_a_good_start_is_quiet() -> None:
    text = run(show=False)
    assert "ours" in text
    assert "noise" not in text
    assert "after the end" in text
