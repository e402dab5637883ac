"""ConvLLaVA equals its authors' code; conversation: `vicuna_v1`."""

from __future__ import annotations

from pathlib import Path

from tests.families.convllava_reference import ConvLlavaReference
from tests.families.proof import FamilyProof, family_marks
from tests.families.reference import Reference
from tests.families.test_llava import VICUNA

pytestmark = family_marks


class TestConvLlava(FamilyProof):
    """A ConvNeXt of five stages, trained, inside the checkpoint."""

    checkpoint = "convllava"
    tower = "../convnext-tiny-401"
    prompt = VICUNA

    @classmethod
    def read(cls, checkpoint: Path) -> Reference:
        """The checkpoint as the authors' code reads it."""
        return ConvLlavaReference(checkpoint, (checkpoint / cls.tower).resolve())
