"""LLaVA-NeXT-Video equals its authors' code; conversation `vicuna_v1`, positions stretched."""

from __future__ import annotations

from pathlib import Path

from tests.families.clips import make_clip
from tests.families.next_reference import NextReference
from tests.families.parity import CASES, Case
from tests.families.proof import LightProof, family_marks

pytestmark = family_marks
VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions. USER: {} ASSISTANT:"
)
SHORT, LONG = make_clip(12, 3.0), make_clip(70, 2.0, seed=1)


class TestNextVideo(LightProof):
    """A frame a second, or 32; pooled two to one; images in tiles as LLaVA-NeXT."""

    checkpoint = "llava-next-video"
    tower = "../clip-tiny-llava-next-video"
    prompt = VICUNA
    cases = (
        *CASES[:3],
        Case("a short video", videos=(SHORT,)),
        Case("a long video", videos=(LONG,), text="What happens?"),
    )

    @classmethod
    def read(cls, checkpoint: Path) -> NextReference:
        """As the demo runs on Vicuna: `32 2 average no_token`, linear scaling by two."""
        tower = (checkpoint / cls.tower).resolve()
        return NextReference(
            checkpoint,
            tower,
            mode="average",
            newline_at="no_token",
            overwrite={"rope_scaling": {"factor": 2.0, "type": "linear"}},
        )
