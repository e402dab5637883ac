"""VILA-1.5 equals its authors' code; conversation: `vicuna_v1`."""

from __future__ import annotations

from pathlib import Path

from tests.families.proof import FamilyProof, LightProof, family_marks
from tests.families.reference import Reference
from tests.families.test_llava import VICUNA
from tests.families.vila_reference import VilaReference

pytestmark = family_marks


class VilaRead:
    """The checkpoint as VILA's code reads it."""

    prompt = VICUNA

    @classmethod
    def read(cls, checkpoint: Path) -> Reference:
        """From its sub-folders."""
        return VilaReference(checkpoint)


class TestVila(VilaRead, FamilyProof):
    """An odd grid of patches, blocks of 2x2 column by column."""

    checkpoint = "vila"


class TestS2(VilaRead, LightProof):
    """3b-s2."""

    checkpoint = "vila-s2"
