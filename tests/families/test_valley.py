"""Valley equals its authors' code; conversation: `valley`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.readers.valley import read_valley
from sensorium.model_adapters.video_prompts import VALLEY
from tests.families.clips import make_clip
from tests.families.parity import CASES, Case, Subject
from tests.families.proof import LightProof, family_marks
from tests.families.valley_reference import ValleyReference

pytestmark = family_marks
SHORT, LONG = make_clip(5, 5.0, width=96, height=72), make_clip(41, 10.0, width=130, seed=1)
TALL = make_clip(9, 5.0, width=64, height=170, seed=2)

A_VIDEO = Case("a short video", videos=(SHORT,), text="Why?")


class TestValley(LightProof):
    """Fewer frames than are taken, more, frames of odd shapes, images."""

    checkpoint = "valley"
    tower = "../clip-tiny-valley"
    prompt = f"{VALLEY.system}\n\n### Human: {{}} \n###"
    cases = (
        *(replace(case, authors=case.text + "\n<image>" * len(case.images)) for case in CASES),
        A_VIDEO,
        Case("a long video", videos=(LONG,), text="What?"),
        Case(
            "an image and a video",
            images=CASES[1].images,
            videos=(SHORT,),
            text="Both?",
            authors="Both?\n<image>\n<video>",
        ),
        Case("a tall video", videos=(TALL,), text="What?"),
    )
    spoilt = A_VIDEO

    @staticmethod
    def write(text: str, images: int) -> str:
        """As `run_valley.py` has it by default: the video after the question."""
        return text if "<image>" in text else text + "\n<video>" * images

    @classmethod
    def read(cls, checkpoint: Path) -> ValleyReference:
        """As `completion` does."""
        return ValleyReference(checkpoint, (checkpoint / cls.tower).resolve())

    def test_trained_tokens_stand_between_features(self, subject: Subject) -> None:
        """Every id is the authors' but for the placeholders, which are others here."""
        case = A_VIDEO
        [answer] = subject.serve([case])
        reference = cast(ValleyReference, subject.reference)
        hidden = [reference.slow.added[token] for token in ("<im_patch>", "<vi_frame>")]
        ids = reference.ids(subject.authors_prompt(case))
        assert [0 if number in hidden else number for number in ids] == answer.prompt


@pytest.mark.parametrize("key", ["use_patch_importance_pooling", "use_delta_transformer"])
def test_trained_pooling_is_refused(key: str) -> None:
    assert read_valley({key: False}) == {key: False}
    with pytest.raises(CheckpointError, match=key):
        read_valley({key: True})
