"""Nous-Hermes-2-Vision equals its authors' code with a tower in CLIP's layout."""

from __future__ import annotations

from tests.families.proof import LightProof, family_marks
from tests.families.test_llava import VICUNA

pytestmark = family_marks


class TestNousHermes2Vision(LightProof):
    """Mistral, and a tower of another size, where a user names the family."""

    checkpoint = "nous-hermes-2-vision"
    tower = "../ViT-tiny-SigLIP-384-hf"
    prompt = VICUNA
    options = {  # noqa: RUF012
        "hf_overrides": {"sensorium_family": "nous-hermes-2-vision"}
    }
