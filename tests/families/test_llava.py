"""LLaVA v1 and v1.5 equal their authors' code; conversation: `conv_vicuna_v1`."""

from __future__ import annotations

from tests.families.proof import FamilyProof, family_marks

pytestmark = family_marks
VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions. USER: {} ASSISTANT:"
)


class TestV1(FamilyProof):
    """A linear projector and centre crop, said by absent keys; BOS; old `inv_freq` tensors."""

    checkpoint = "llava-v1"
    tower = "../clip-tiny-v1"
    prompt = VICUNA


class TestV15(FamilyProof):
    """The tower in a repository of its own."""

    checkpoint = "llava-v1.5"
    tower = "../clip-tiny-v15"
    prompt = VICUNA


class TestTowerInside(FamilyProof):
    """A fine-tune under a name nobody knows, with its tower in the checkpoint."""

    checkpoint = "llava-inside"
    tower = "clip-tiny-inside"
    prompt = VICUNA
    inside = True
