"""Video-LLaVA equals its authors' code; conversation: `llava_v1`, media in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.families.clips import make_clip
from tests.families.parity import CASES, TOLERANCE, Case, serving
from tests.families.proof import FamilyProof, family_marks
from tests.families.served import INDUCTOR_VARIABLE
from tests.families.video_llava_reference import VideoLlavaReference

pytestmark = family_marks
LLAVA_V1 = (
    "A chat between a curious human and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the human's questions. USER: {} ASSISTANT:"
)
SHORT, LONG = make_clip(5, 5.0, width=96, height=72), make_clip(41, 10.0, width=130, seed=1)
TALL = make_clip(9, 5.0, width=64, height=170, seed=2)
BOTH = Case(
    "an image and a video",
    images=CASES[1].images,
    videos=(SHORT,),
    text="Both?",
    authors="<image><video>\nBoth?",
)


class TestVideoLlava(FamilyProof):
    """Images by one tower, videos by another; fewer frames than eight, more, odd shapes."""

    checkpoint = "video-llava"
    prompt = LLAVA_V1
    parts = ("projector", "vision_tower", "video_tower", "language_model")
    cases = (
        *CASES,
        Case("a short video", videos=(SHORT,), text="Why?", authors="<video>\nWhy?"),
        Case("a long video", videos=(LONG,), text="What?", authors="<video>\nWhat?"),
        Case("two videos", videos=(TALL, LONG), text="How?", authors="<video><video>\nHow?"),
        BOTH,
    )
    spoilt = BOTH

    @staticmethod
    def write(text: str, images: int) -> str:
        """As `cli.py` does: one after the other, then a newline."""
        return text if "<video>" in text or not images else "<image>" * images + f"\n{text}"

    @classmethod
    def read(cls, checkpoint: Path) -> VideoLlavaReference:
        """With the towers that the config names."""
        return VideoLlavaReference(checkpoint)


def test_compiled_by_inductor(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures and videos, as where users serve with `--no-enforce-eager`."""
    monkeypatch.setenv(INDUCTOR_VARIABLE, "1")
    proof = TestVideoLlava
    with serving(
        proof.checkpoint, folder, proof.prompt, proof.read, proof.write, compiled=True
    ) as subject:
        cases = (CASES[0], CASES[1], BOTH)
        for case, answer in zip(cases, subject.serve(cases), strict=True):
            assert subject.compare(case, answer) < TOLERANCE
