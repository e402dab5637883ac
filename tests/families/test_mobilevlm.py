"""MobileVLM v1 and v2 equal their authors' code; conversation: `v1`."""

from __future__ import annotations

from tests.families.proof import FamilyProof, family_marks

pytestmark = family_marks
VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions. USER: {} ASSISTANT:"
)


class TestV1(FamilyProof):
    """LDP, and tower tensors inside that the authors never read."""

    checkpoint = "mobilevlm"
    tower = "../clip-tiny-mobile"
    prompt = VICUNA


class TestV2(FamilyProof):
    """LDPv2, the tower inside before the one outside."""

    checkpoint = "mobilevlm-v2"
    tower = "../clip-tiny-mobile2"
    prompt = VICUNA
    inside = True
