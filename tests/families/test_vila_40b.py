"""VILA-1.5-40b equals its authors' code; conversation: `chatml_direct`."""

from __future__ import annotations

from tests.families.proof import LightProof, family_marks
from tests.families.test_vila import VilaRead

pytestmark = family_marks


class TestInternVit(VilaRead, LightProof):
    """InternViT, its class token dropped; no BOS."""

    checkpoint = "vila-40b"
    prompt = (
        "<|im_start|>system\nAnswer the questions.<|im_end|><|im_start|>user\n{}<|im_end|>"
        "<|im_start|>assistant\n"
    )
