"""LLaVA-1.6 equals its authors' code; conversations `vicuna_v1`, `mistral_instruct`."""

from __future__ import annotations

from tests.families.proof import FamilyProof, family_marks

pytestmark = family_marks
VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions. USER: {} ASSISTANT:"
)


class TestVicuna(FamilyProof):
    """Tiles, newline vectors, a trained tower inside."""

    checkpoint = "llava-next"
    tower = "../clip-tiny-llava-next"
    prompt = VICUNA
    inside = True


class TestMistral(FamilyProof):
    """The same on Mistral."""

    checkpoint = "llava-next-mistral"
    tower = "../clip-tiny-llava-next-mistral"
    prompt = "[INST] {} [/INST]"
    inside = True
