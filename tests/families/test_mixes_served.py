"""Three mixes that nobody has heard of equal what their parts compute, in `vicuna_v1`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from tests.families.mix_reference import MixReference
from tests.families.proof import LightProof, family_marks
from tests.families.reference import Reference
from tests.families.test_llava import VICUNA

pytestmark = family_marks


class _Mix:
    """LLaVA's flow with other parts."""

    prompt = VICUNA
    tower: ClassVar[str]

    @classmethod
    def read(cls, checkpoint: Path) -> Reference:
        """With the tower's folder beside it."""
        return MixReference(checkpoint, (checkpoint / cls.tower).resolve())


class TestSiglipLdpGemma(_Mix, LightProof):
    """SigLIP, MobileVLM's projector, Gemma."""

    checkpoint = "mix-siglip-ldp-gemma"
    tower = "../siglip-tiny-mix"


class TestConvNextNormQwen2(_Mix, LightProof):
    """ConvNeXt, Yi-VL's projector, Qwen2."""

    checkpoint = "mix-convnext-norm-qwen2"
    tower = "../convnext-tiny-511"


class TestInternDownsampleMistral(_Mix, LightProof):
    """InternViT, VILA's projector, Mistral."""

    checkpoint = "mix-intern-downsample-mistral"
    tower = "../intern-tiny-521"
