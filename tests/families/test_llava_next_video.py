"""LLaVA-NeXT-Video equals its authors' code, on each of its language models."""

from __future__ import annotations

from pathlib import Path

from tests.families.clips import make_clip
from tests.families.next_reference import NextReference
from tests.families.parity import CASES, Case
from tests.families.proof import LightProof, family_marks
from tests.families.yi_reference import YiReference

pytestmark = family_marks
VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions. USER: {} ASSISTANT:"
)
SHORT, LONG = make_clip(12, 3.0), make_clip(70, 2.0, seed=1)
SEEN = (
    Case("a short video", videos=(SHORT,)),
    Case("a long video", videos=(LONG,), text="What happens?"),
)
# What training on pooled frames writes into the config of a LLaVA-NeXT.
POOLED = {
    "hf_overrides": {
        "mm_resampler_type": "spatial_pool",
        "mm_spatial_pool_mode": "average",
        "mm_spatial_pool_stride": 2,
    }
}


class TestNextVideo(LightProof):
    """On Vicuna: a frame a second, or 32; pooled two to one; images in tiles as LLaVA-NeXT.

    Conversation `vicuna_v1`, positions stretched.
    """

    checkpoint = "llava-next-video"
    tower = "../clip-tiny-llava-next-video"
    prompt = VICUNA
    cases = (*CASES, *SEEN)

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


class TestNextVideoYi(LightProof):
    """34b, with the weights of LLaVA-1.6 34b: conversation `mistral_direct`, no newlines."""

    checkpoint = "llava-next-34b"
    tower = "../clip-tiny-llava-next-34b"
    prompt = (
        "<|im_start|>system\nAnswer the questions.<|im_end|><|im_start|>user\n{}<|im_end|>"
        "<|im_start|>assistant\n"
    )
    options = POOLED
    cases = (CASES[1], *SEEN)
    spoilt = SEEN[0]

    @classmethod
    def read(cls, checkpoint: Path) -> YiReference:
        """As the demo runs on it: `32 2 average no_token`."""
        tower = (checkpoint / cls.tower).resolve()
        return YiReference(checkpoint, tower, mode="average", newline_at="no_token")


class TestNextVideoQwen(LightProof):
    """32b, with the weights of LLaVA-NeXT on Qwen1.5: a newline after each row of a frame."""

    checkpoint = "llava-next-qwen"
    tower = "../clip-tiny-llava-next-qwen"
    prompt = (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n{}"
        "<|im_end|>\n<|im_start|>assistant\n"
    )
    options = POOLED
    cases = (CASES[1], *SEEN)
    spoilt = SEEN[0]

    @classmethod
    def read(cls, checkpoint: Path) -> NextReference:
        """As the demo runs on it: `32 2 average grid`."""
        tower = (checkpoint / cls.tower).resolve()
        return NextReference(checkpoint, tower, mode="average", newline_at="grid")
