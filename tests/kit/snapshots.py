"""Compare text with a committed file, or write the file when asked to.

SENSORIUM_UPDATE_SNAPSHOTS=1 pytest tests/test_package.py
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["UPDATE", "check_snapshot"]

FOLDER = Path(__file__).resolve().parent.parent / "snapshots"
UPDATE = "SENSORIUM_UPDATE_SNAPSHOTS"


def check_snapshot(name: str, text: str) -> None:
    """Fail unless `text` equals the snapshot `name`; with the environment variable, write it."""
    path = FOLDER / f"{name}.txt"
    text = text.rstrip() + "\n"
    if os.environ.get(UPDATE):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    expected = path.read_text(encoding="utf-8") if path.exists() else ""
    assert text == expected, f"{path.name} differs; if that is meant, run again with {UPDATE}=1"
