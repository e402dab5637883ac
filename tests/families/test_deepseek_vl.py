"""DeepSeek-VL equals its authors' code; conversation: `deepseek`."""

from __future__ import annotations

from pathlib import Path

from tests.families.deepseek_reference import DeepSeekReference
from tests.families.parity import CASES
from tests.families.proof import FamilyProof, family_marks

pytestmark = family_marks
PROMPT = (
    "You are a helpful language and vision assistant. You are able to understand the visual "
    "content that the user provides, and assist the user with a variety of tasks using natural "
    "language.\n\nUser: {}\n\nAssistant:"
)


class TestOneTower(FamilyProof):
    """SigLIP under timm's names; a partial language config; a byte-level vocabulary with BOS."""

    checkpoint = "deepseek-vl"
    prompt = PROMPT

    @staticmethod
    def write(text: str, images: int) -> str:
        """As inference.py: no newline after a picture."""
        return "<image>" * images + text

    @classmethod
    def read(cls, checkpoint: Path) -> DeepSeekReference:
        """The authors' processor and model."""
        return DeepSeekReference(checkpoint)


class TestTwoTowers(TestOneTower):
    """SAM and SigLIP side by side, 576 tokens a picture."""

    checkpoint = "deepseek-vl-hybrid"
    options = {"max_model_len": 2048}  # noqa: RUF012
    cases = CASES[:4]
    lacks = dict.fromkeys(
        (case.name for case in CASES[4:]), "one tower takes them the same way; a picture costs 2 s"
    )
    parts = (
        "projector.high_up_proj",
        "projector.low_up_proj",
        "vision_tower.vision_tower_high",
        "vision_tower.vision_tower_low",
        "language_model",
    )
