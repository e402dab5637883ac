"""Bunny equals its authors' code; conversation: `bunny`."""

from __future__ import annotations

from pathlib import Path

from tests.families.bunny_reference import BunnyReference, S2Reference
from tests.families.parity import Subject
from tests.families.proof import FamilyProof, LightProof, family_marks
from tests.families.reference import Reference

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


class BunnyProof(LightProof):
    """The other language models."""

    prompt = VICUNA
    inside = True

    @classmethod
    def read(cls, checkpoint: Path) -> Reference:
        """The checkpoint as Bunny's code reads it."""
        return BunnyReference(checkpoint, (checkpoint / cls.tower).resolve(), inside=True)


class TestPhi3(BunnyProof):
    """phi-3, whose checkpoints hold stacked projections."""

    checkpoint = "bunny-phi3"
    tower = "../siglip-tiny-63"


class TestStableLm(BunnyProof):
    """StableLM-2 under the config keys of `StableLMEpochConfig`."""

    checkpoint = "bunny-stablelm"
    tower = "../siglip-tiny-65"


class TestMiniCpm(BunnyProof):
    """MiniCPM: features of images are scaled as embeddings are."""

    checkpoint = "bunny-minicpm"
    tower = "../siglip-tiny-67"


class TestS2(FamilyProof):
    """v1.1 on Llama-3: three scales."""

    checkpoint = "bunny-s2"
    tower = "../siglip-tiny-69"
    prompt = VICUNA

    @classmethod
    def read(cls, checkpoint: Path) -> Reference:
        """The checkpoint as Bunny's code reads it."""
        return S2Reference(checkpoint, (checkpoint / cls.tower).resolve(), inside=True)

    def test_ends_at_the_end_token_of_the_config(self, subject: Subject) -> None:
        from vllm import SamplingParams

        end = SamplingParams(temperature=0, max_tokens=8, logit_bias={7: 100.0})
        [output] = subject.served.llm.generate("Hello", end, use_tqdm=False)
        assert list(output.outputs[0].token_ids) == [7]
