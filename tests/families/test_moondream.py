"""moondream equals its authors' code, in each of its layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.families.moondream_reference import MoondreamReference
from tests.families.parity import CASES, Case
from tests.families.proof import FamilyProof, LightProof, family_marks
from tests.families.served import encoded

pytestmark = family_marks


def _blocks(width: int, height: int, seed: int) -> bytes:
    colours = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return encoded(Image.fromarray(np.kron(colours, np.ones((40, 40, 1), dtype=np.uint8))))


LARGE = (
    Case("two squares across", (_blocks(20, 9, 1),)),
    Case("two squares down", (_blocks(6, 15, 2),)),
    Case("four squares", (_blocks(15, 14, 3),)),
    Case("a large one and a small one", (_blocks(20, 9, 4), *CASES[1].images)),
)


class TestFirst(FamilyProof):
    """moondream1: tags around the picture, exact GELU, a narrower rotary part."""

    checkpoint = "moondream1"
    prompt = "{}\n\nAnswer: "

    @staticmethod
    def write(text: str, images: int) -> str:
        """The picture first, between its tags."""
        return "<image>\x00</image>\n\n" * images + f"Question: {text}"

    @classmethod
    def read(cls, checkpoint: Path) -> MoondreamReference:
        """The authors' code of 2024-02-06."""
        return MoondreamReference(checkpoint, first=True)


class TestOneView(LightProof):
    """moondream2 of 2024-05-08: no tags, GELU by tanh."""

    checkpoint = "moondream2-one-view"
    prompt = "{}\n\nAnswer:"

    @staticmethod
    def write(text: str, images: int) -> str:
        """The picture first."""
        return "\x00\n\n" * images + f"Question: {text}"

    @classmethod
    def read(cls, checkpoint: Path) -> MoondreamReference:
        """The authors' code of 2024-05-01."""
        return MoondreamReference(checkpoint, first=False)


class TestMarch(LightProof):
    """moondream2 of 2024-03-13: the first activations, no tags; told by its name alone."""

    checkpoint = "moondream2-march"
    prompt = TestOneView.prompt
    options = {"hf_overrides": {"sensorium_family": "moondream2-2024-03-13"}}  # noqa: RUF012
    write = staticmethod(TestOneView.write)

    @classmethod
    def read(cls, checkpoint: Path) -> MoondreamReference:
        """The authors' code of 2024-03-13."""
        return MoondreamReference(checkpoint, first=True)


class TestMarchWithTags(LightProof):
    """moondream2 of 2024-03-06: the first activations, the tags still there."""

    checkpoint = "moondream2-march"
    prompt = TestFirst.prompt
    options = {"hf_overrides": {"sensorium_family": "moondream2-2024-03-06"}}  # noqa: RUF012
    write = staticmethod(TestFirst.write)
    read = TestMarch.read


class TestApril(LightProof):
    """moondream2 of 2024-04-02: no tags, GELU by tanh, the config as in March."""

    checkpoint = "moondream2-march"
    prompt = TestOneView.prompt
    options = {"hf_overrides": {"sensorium_family": "moondream2-2024-04-02"}}  # noqa: RUF012
    write = staticmethod(TestOneView.write)
    read = TestOneView.read


class TestViews(FamilyProof):
    """moondream2 from 2024-05-20 on: a picture as a whole and in parts."""

    checkpoint = "moondream2"
    prompt = TestOneView.prompt
    cases = (*CASES, *LARGE)
    write = staticmethod(TestOneView.write)
    read = TestOneView.read
