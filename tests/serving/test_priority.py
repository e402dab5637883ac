"""Media workers let the server's own process go first."""

from __future__ import annotations

import os
import subprocess
import sys

CHILD = (
    "import os; from sensorium.serving.priority import give_way; "
    "give_way(os.getppid()); give_way(os.getppid()); give_way(1 << 30); "
    "print(os.getpriority(os.PRIO_PROCESS, 0))"
)


def test_a_process_below_a_server_is_nicer_once() -> None:
    command = [sys.executable, "-c", CHILD]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert int(found) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 5)
