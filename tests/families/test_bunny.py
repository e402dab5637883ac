"""Bunny v1.0 equals its authors' code; conversation: `bunny`."""

from __future__ import annotations

from tests.families.proof import FamilyProof, family_marks

pytestmark = family_marks
VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions. USER: {} ASSISTANT:"
)


class TestQwen(FamilyProof):
    """SigLIP, Qwen1.5, and a vocabulary padded past the tokenizer's."""

    checkpoint = "bunny-qwen"
    tower = "../siglip-tiny-61"
    prompt = VICUNA
    inside = True


class TestPhi(FamilyProof):
    """phi-2 through vLLM's transformers backend, without a bias in the head."""

    checkpoint = "bunny-phi"
    tower = "../siglip-tiny-71"
    prompt = VICUNA
    inside = True
