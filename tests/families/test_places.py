"""Where weights may lie: in a .pth file, and with the tower's folder somewhere else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from sensorium.model_adapters.folders import VISION_TOWER
from tests.families.checkpoints import BUILDERS
from tests.families.parity import CASES, TOLERANCE, Subject
from tests.families.proof import family_marks
from tests.families.reference import Reference
from tests.families.served import Served
from tests.families.test_llava import VICUNA

pytestmark = family_marks


def test_a_pth_file_and_a_tower_by_override(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = folder / "llava-v1"
    if not good.exists():
        good.mkdir()
        BUILDERS["llava-v1"](good)
    tower = Path(shutil.copytree(folder / "clip-tiny-v1", tmp_path / "towers" / "mine"))
    moved = Path(shutil.copytree(good, tmp_path / "moved"))
    (moved / "pytorch_model.bin.index.json").unlink()
    [weights] = moved.glob("pytorch_model*.bin")
    torch.save(torch.load(weights, weights_only=True), moved / "consolidated.00.pth")
    weights.unlink()
    monkeypatch.setenv(VISION_TOWER, f"clip-tiny-v1={tower}")
    served = Served(moved)
    try:
        subject = Subject(served, Reference(good, tower, inside=False), VICUNA)
        [answer] = subject.serve(CASES[1:2])
        assert subject.compare(CASES[1], answer) < TOLERANCE
    finally:
        served.close()
