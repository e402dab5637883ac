"""LLaVA-OneVision and LLaVA-Video equal their authors' code; conversation `qwen_1_5`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.families.clips import make_clip
from tests.families.next_reference import NextReference
from tests.families.parity import CASES, TOLERANCE, Case, Subject, blocks, images_first
from tests.families.proof import FamilyProof, LightProof, family_marks
from tests.families.served import encoded

pytestmark = family_marks
QWEN = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n"
    "<|im_start|>assistant\n"
)
SHORT, LONG = make_clip(9, 5.0), make_clip(50, 10.0, seed=1)
# Nine tiles of 70 pixels, more than the four that keep their features.
LARGE = encoded(blocks(15, 14, 14, 8))


def joined(text: str, images: int) -> str:
    """Several images stand on one line."""
    return " ".join(["<image>"] * images) + "\n" * bool(images) + text


class TestOneVision(FamilyProof):
    """One image in tiles, at most four of them in full; several padded; videos."""

    checkpoint = "llava-onevision"
    tower = "../siglip-tiny-llava-onevision"
    prompt = QWEN
    cases = (
        *CASES,
        Case("nine tiles", (LARGE,)),
        Case("a short video", videos=(SHORT,)),
        Case("a long video", videos=(LONG,), text="What happens?"),
    )

    @classmethod
    def read(cls, checkpoint: Path) -> NextReference:
        """As the tutorial does: 32 frames, whatever there are."""
        tower = (checkpoint / cls.tower).resolve()
        return NextReference(checkpoint, tower, sample="uniform")

    @staticmethod
    def write(text: str, images: int) -> str:
        """Several images stand on one line."""
        return joined(text, images)

    def test_a_picture_and_a_video(self, subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(subject, "write", images_first)
        case = Case("a picture and a video", CASES[1].images, "Are they alike?", (SHORT,))
        [answer] = subject.serve([case])
        assert subject.compare(case, answer) < TOLERANCE

    def test_an_image_alone_is_not_taken_for_the_same_among_others(self, subject: Subject) -> None:
        alone, among = CASES[1], Case("among", (CASES[1].images[0], LARGE), "Which is larger?")
        for case in (alone, among, alone):
            [answer] = subject.serve([case])
            assert subject.compare(case, answer) < TOLERANCE


class TestLlavaVideo(LightProof):
    """Frames by rows with newlines, and the sentence that says when they are."""

    checkpoint = "llava-video"
    tower = "../siglip-tiny-llava-video"
    prompt = QWEN
    options = {"max_model_len": 2048}  # noqa: RUF012

    @classmethod
    def read(cls, checkpoint: Path) -> NextReference:
        """As `video_demo.py` does, with 64 frames."""
        tower = (checkpoint / cls.tower).resolve()
        return NextReference(checkpoint, tower, frames=64, sample="uniform")

    @staticmethod
    def write(text: str, images: int) -> str:
        """Several images stand on one line."""
        return joined(text, images)

    def test_a_video_with_its_times(self, subject: Subject) -> None:
        assert isinstance(subject.reference, NextReference)
        for clip, text in ((LONG, "What happens?"), (SHORT, "\nAnd then, </s> <|im_end|>?")):
            told = f"{subject.reference.times(clip)}\n{text}"
            case = Case("a video", videos=(clip,), text=text, authors=told)
            [answer] = subject.serve([case])
            if "<|im_end|>" not in text:
                assert subject.compare(case, answer) < TOLERANCE
            decoded = subject.served.llm.get_tokenizer().decode(answer.prompt)
            assert told in decoded
