"""ShareGPT4Video equals its authors' code; conversation `llava_llama_3`."""

from __future__ import annotations

from pathlib import Path

from tests.families.clips import make_clip
from tests.families.next_reference import ShareReference
from tests.families.parity import CASES, Case
from tests.families.proof import LightProof, family_marks
from tests.families.test_llava_next import TestLlama3 as Llama3

pytestmark = family_marks
SMALL, LARGE = make_clip(21, 5.0), make_clip(40, 10.0, width=640, height=352, seed=1)
SEEN = (
    "The provided image arranges keyframes from a video in a grid view, keyframes are separated "
    "with white bands. Answer concisely with overall content and context of the video, "
    "highlighting any significant events, characters, or objects that appear throughout the frames."
)


class TestShareGpt4Video(LightProof):
    """Sixteen frames in one picture, also where that is too large."""

    checkpoint = "llava-next-llama3"
    tower = "../clip-tiny-llava-next-llama3"
    prompt = Llama3.prompt
    options = {  # noqa: RUF012
        "hf_overrides": {"sensorium_family": "sharegpt4video"},
    }
    cases = (
        Case("text only", text="Who are you?"),
        Case("a small video", videos=(SMALL,), text="Why?", authors=f"{SEEN}Why?"),
        Case("a large video", videos=(LARGE,), text="What?", authors=f"{SEEN}What?"),
    )
    spoilt = cases[1]
    lacks = dict.fromkeys((case.name for case in CASES[1:]), "takes videos alone")

    @classmethod
    def read(cls, checkpoint: Path) -> ShareReference:
        """As `run.py` does."""
        reference = ShareReference(checkpoint, (checkpoint / cls.tower).resolve(), frames=16)
        reference.ends = frozenset({reference.tokenizer.convert_tokens_to_ids("<|eot_id|>")})
        return reference
