"""LLaVA-NeXT-Interleave equals its authors' demo; conversation `qwen_1_5`."""

from __future__ import annotations

from pathlib import Path

from tests.families.clips import make_clip
from tests.families.next_reference import InterleaveReference
from tests.families.parity import CASES, Case
from tests.families.proof import LightProof, family_marks

pytestmark = family_marks
CLIP = make_clip(35, 7.0)


class TestInterleave(LightProof):
    """All features of one square an image; the separate tower; frames as images."""

    checkpoint = "llava-interleave"
    tower = "../siglip-tiny-llava-interleave"
    prompt = (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n{}"
        "<|im_end|>\n<|im_start|>assistant\n"
    )
    cases = (*CASES, Case("a video", videos=(CLIP,)))

    @classmethod
    def read(cls, checkpoint: Path) -> InterleaveReference:
        """As `interleave_demo.py` does, with 16 frames."""
        tower = (checkpoint / cls.tower).resolve()
        return InterleaveReference(checkpoint, tower, inside=False, frames=16)

    @staticmethod
    def write(text: str, images: int) -> str:
        """`<image>` as often as there are images, then one newline."""
        return "<image>" * images + "\n" * bool(images) + text
