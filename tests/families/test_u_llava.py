"""u-LLaVA equals its authors' code on pictures and text; conversation: `conv_sep2`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import CLIPVisionConfig, CLIPVisionModel

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.readers.u_llava import read_u_llava
from tests.families.parity import Subject
from tests.families.proof import LightProof, family_marks
from tests.families.reference import Reference, load_vision, read_all, read_image_processor
from tests.families.slow_tokenizer import SlowTokenizer
from tests.families.test_finetunes import CURIOUS_HUMAN

pytestmark = family_marks


class UllavaReference(Reference):
    """`UllavaCoreForCausalLM`, read below `llm.`; the slow tokenizer of transformers 4.29."""

    def __init__(self, checkpoint: Path, tower: Path) -> None:
        core = json.loads((checkpoint / "config.json").read_text())["llm_config"]
        self.raw: dict[str, Any] = {
            **core,
            "architectures": ["LlavaLlamaForCausalLM"],
            "mm_vision_select_layer": core["vision_hidden_layer"],
        }
        llm = {k.removeprefix("llm."): v for k, v in read_all(checkpoint).items() if "llm." in k}
        outside = ("vision_encoder.", "vision_projector.")
        self.lm = self.language_model({k: v for k, v in llm.items() if not k.startswith(outside)})
        vision = CLIPVisionConfig(**core["vision_config"], attn_implementation="eager")
        self.tower = CLIPVisionModel(vision).eval()
        encoder = {k.removeprefix("vision_encoder."): v for k, v in llm.items()}
        load_vision(self.tower, {k: v for k, v in encoder.items() if k.startswith("vision_model.")})
        self.projector = {name: llm[f"vision_projector.{name}"] for name in ("weight", "bias")}
        self.processor = read_image_processor(tower, siglip=False)
        self.siglip, self.newline = False, None
        self.tokenizer: Any = SlowTokenizer(checkpoint)

    def pieces(self, prompt: str) -> list[list[int]]:
        """Ids of the text around each image."""
        return self.tokenizer.pieces(prompt)


class TestUllava(LightProof):
    """The core inside a larger model, with tokens around an image."""

    checkpoint = "ullava"
    prompt = CURIOUS_HUMAN

    @classmethod
    def read(cls, checkpoint: Path) -> Reference:
        """As evaluation/inference_ullava.py."""
        return UllavaReference(checkpoint, checkpoint.with_name("clip-tiny-ullava"))

    def test_an_earlier_answer_that_found_something(self, subject: Subject) -> None:
        messages = [
            {"role": "user", "content": "Q1"},
            {"role": "assistant", "content": "It is [SEG] ."},
            {"role": "user", "content": "Q2"},
        ]
        [answer] = subject.served.chat(messages, tokens=1)
        text = self.prompt.format("Q1") + " It is [SEG] .</s>USER: Q2 ASSISTANT:"
        assert answer.prompt == subject.reference.pieces(text)[0]

    @staticmethod
    def write(text: str, images: int) -> str:
        """As evaluation/inference_ullava.py."""
        return "<img_beg><image></img_end>\n" * images + text


def test_an_unknown_projector_is_refused() -> None:
    with pytest.raises(CheckpointError, match="'qformer'"):
        read_u_llava({"llm_config": {"projector_type": "qformer"}})
