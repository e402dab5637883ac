"""Memory: what the garbage collector leaves alone."""

from __future__ import annotations

import subprocess
import sys


def test_what_exists_at_the_start_is_left_out_of_collections() -> None:
    code = (
        "import gc; from sensorium.serving.memory import freeze_heap\n"
        "kept = [[number] for number in range(50_000)]\n"
        "freeze_heap()\n"
        "print(gc.get_freeze_count() > 50_000, len(gc.get_objects()) < 1_000)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["True", "True"]
