"""The proof of every family holds every case, or says why not."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

from sensorium.model_adapters.registry import families

pytest.importorskip("torch", reason="an engine extra brings it")
from tests.families.parity import CASES
from tests.families.proof import FamilyProof


def proofs_in(file: str) -> list[type[FamilyProof]]:
    """The proofs that a test file holds itself."""
    module = importlib.import_module(f"tests.families.{Path(file).stem}")
    return [
        kind
        for kind in vars(module).values()
        if inspect.isclass(kind)
        and issubclass(kind, FamilyProof)
        and kind.__module__ == module.__name__
        and hasattr(kind, "checkpoint")
    ]


FILES = sorted({entry.load().proof for entry in families()})


@pytest.mark.parametrize("file", FILES, ids=[Path(file).stem for file in FILES])
def test_every_kind_of_picture(file: str) -> None:
    """A file's first proof holds all; a variant of it may hold fewer."""
    first, *_ = proofs_in(file)
    names = {case.name for case in first.cases}
    missing = [case.name for case in CASES if case.name not in names]
    assert missing == list(first.lacks), first.__name__
    assert all(first.lacks.values())


@pytest.mark.parametrize("file", FILES, ids=[Path(file).stem for file in FILES])
def test_each_starts_compiled(file: str) -> None:
    """`make compiled` runs these tests with Inductor."""
    for proof in proofs_in(file):
        assert proof.options.get("compiled", True), proof.__name__


@pytest.mark.parametrize("name", [entry.name for entry in families()])
def test_what_a_family_takes(name: str) -> None:
    spec = next(entry for entry in families() if entry.name == name).load()
    asked = [case for proof in proofs_in(spec.proof) for case in proof.cases]
    assert ("image" in spec.modalities) == any(case.images for case in asked)
    assert ("video" in spec.modalities) == any(case.videos for case in asked)
