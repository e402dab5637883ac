"""mPLUG-Owl2 equals its authors' code; conversation: `mplug_owl2`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.families.conftest import COMPILED_CHUNKS
from tests.families.mplug_owl2_reference import MplugOwl2Reference
from tests.families.parity import CASES, TOLERANCE, Case, Subject, serving
from tests.families.proof import FamilyProof, family_marks
from tests.families.served import INDUCTOR_VARIABLE

pytestmark = family_marks
PROMPT = "USER: {} ASSISTANT:"


def write(text: str, images: int) -> str:
    """As the README's example: no newline after a picture."""
    return "<image>" * images + text


class TestMplugOwl2(FamilyProof):
    """Modality-adaptive modules in every layer; an abstractor; a tower of its own."""

    checkpoint = "mplug-owl2"
    prompt = PROMPT
    write = staticmethod(write)

    @classmethod
    def read(cls, checkpoint: Path) -> MplugOwl2Reference:
        """The authors' processor and model."""
        return MplugOwl2Reference(checkpoint)

    def test_texts_and_pictures_in_one_step(self, subject: Subject) -> None:
        """Each row of a batch takes its own way, whatever stands beside it."""
        cases = [CASES[0], CASES[1], Case("another text", text="Why?"), CASES[3]]
        for case, answer in zip(cases, subject.serve(cases), strict=True):
            assert subject.compare(case, answer) < TOLERANCE

    def test_the_ways_matter(self, subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
        """With every row on the text's way the answers are others."""
        case = CASES[1]
        [answer] = subject.serve([case])
        language = MplugOwl2Reference._language
        monkeypatch.setattr(
            MplugOwl2Reference, "_language", lambda self, x, ways: language(self, x, 0 * ways)
        )
        with pytest.raises(AssertionError):
            assert subject.compare(case, answer, anew=True) < 10 * TOLERANCE


def test_compiled_by_inductor(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mask is read inside of what is compiled, and filled outside."""
    monkeypatch.setenv(INDUCTOR_VARIABLE, "1")
    proof = TestMplugOwl2
    with serving(
        proof.checkpoint, folder, proof.prompt, proof.read, proof.write, **COMPILED_CHUNKS
    ) as subject:
        cases = CASES[:4]
        for case, answer in zip(cases, subject.serve(cases), strict=True):
            assert subject.compare(case, answer) < TOLERANCE
