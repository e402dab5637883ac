"""TinyLLaVA of February 2024 equals its authors' code; conversation: `tinyllava`."""

from __future__ import annotations

from pathlib import Path

from tests.families.bunny_reference import BunnyReference
from tests.families.proof import LightProof, family_marks
from tests.families.reference import Reference
from tests.families.test_llava import VICUNA

pytestmark = family_marks


class TestStableLm(LightProof):
    """StableLM-2, the separate tower, every patch of the last layer but one."""

    checkpoint = "tinyllava-bench"
    tower = "../siglip-tiny-151"
    prompt = VICUNA

    @classmethod
    def read(cls, checkpoint: Path) -> Reference:
        """As Bunny's: `hidden_states[-2]` is the last of a tower whose last layer is deleted."""
        return BunnyReference(checkpoint, (checkpoint / cls.tower).resolve(), inside=False)
