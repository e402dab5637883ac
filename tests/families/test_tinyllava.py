"""TinyLLaVA equals its authors' code; conversations: `tinyllava`, `vicuna_v1` on TinyLlama."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from tests.families.proof import FamilyProof, LightProof, family_marks
from tests.families.reference import Reference
from tests.families.test_llava import VICUNA
from tests.families.tinyllava_reference import TinyLlavaReference

pytestmark = family_marks


class _Read:
    """The checkpoint as the Factory's code reads it."""

    prompt = VICUNA
    tower: ClassVar[str]

    @classmethod
    def read(cls, checkpoint: Path) -> Reference:
        """With the image processor of the folder beside it."""
        return TinyLlavaReference(checkpoint, (checkpoint / cls.tower).resolve())


class TestPhi(_Read, FamilyProof):
    """phi-2 with a bias in its head; SigLIP without its first patch."""

    checkpoint = "tinyllava-phi"
    tower = "../siglip-tiny-111"


class TestGemma(_Read, LightProof):
    """Gemma: features of images are scaled as embeddings are."""

    checkpoint = "tinyllava-gemma"
    tower = "../siglip-tiny-121"


class TestQwen2(_Read, LightProof):
    """Qwen2 with a tied head."""

    checkpoint = "tinyllava-qwen2"
    tower = "../siglip-tiny-131"


class TestLlama(_Read, LightProof):
    """TinyLlama."""

    checkpoint = "tinyllava-llama"
    tower = "../siglip-tiny-141"
