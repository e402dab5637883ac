"""SlowFast-LLaVA equals its authors' code; prompts `image_seq_v3` and `image_seq_34b_v3`."""

from __future__ import annotations

from pathlib import Path

from tests.families.clips import make_clip
from tests.families.next_reference import SlowFastReference
from tests.families.parity import CASES, Case
from tests.families.proof import LightProof, family_marks
from tests.families.yi_reference import YiReference

pytestmark = family_marks
SHORT, LONG = make_clip(7, 5.0), make_clip(64, 10.0, seed=1)
SEEN = (
    "The input consists of a sequence of key frames from a video. Answer concisely with overall "
    "content and context of the video, highlighting any significant events, characters, or objects "
    "that appear throughout the video. Question: "
)


class TestSlowFast(LightProof):
    """LLaVA-1.6's own checkpoint, served as this family because the user says so."""

    checkpoint = "llava-next"
    tower = "../clip-tiny-llava-next"
    prompt = "USER: {} \nASSISTANT:\nAnswer: In the video,"
    options = {  # noqa: RUF012
        "max_model_len": 2048,
        "hf_overrides": {"sensorium_family": "slowfast-llava"},
    }
    cases = (
        Case("text only", text="Who are you?"),
        Case("a short video", videos=(SHORT,), text="Why?", authors=f"{SEEN}Why?"),
        Case("a long video", videos=(LONG,), text="What?", authors=f"{SEEN}What?"),
    )
    spoilt = cases[1]
    lacks = dict.fromkeys((case.name for case in CASES[1:]), "takes videos alone")

    @classmethod
    def read(cls, checkpoint: Path) -> SlowFastReference:
        """As `run_demo.py` does, with 50 frames."""
        tower = (checkpoint / cls.tower).resolve()
        return SlowFastReference(checkpoint, tower, frames=50)


class SlowFastYi(YiReference, SlowFastReference):
    """The same video on Yi, read by its slow tokenizer."""


class TestSlowFastYi(LightProof):
    """LLaVA-1.6 34b's own checkpoint."""

    checkpoint = "llava-next-34b"
    tower = "../clip-tiny-llava-next-34b"
    prompt = (
        "<|im_start|>system\n Answer the question. <|im_end|>\n<|im_start|>user\n {} <|im_end|>\n"
        "<|im_start|>assistant\nAnswer: In the video,"
    )
    options = {  # noqa: RUF012
        "max_model_len": 2048,
        "hf_overrides": {"sensorium_family": "slowfast-llava-34b"},
    }
    cases = TestSlowFast.cases[1:]
    spoilt = cases[0]

    @classmethod
    def read(cls, checkpoint: Path) -> SlowFastYi:
        """As `run_demo.py` does, with 50 frames."""
        return SlowFastYi(checkpoint, (checkpoint / cls.tower).resolve(), frames=50)
