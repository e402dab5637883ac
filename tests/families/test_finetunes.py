"""LLaVA-1.5's relatives equal LLaVA's code on their language models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

from tests.families.parity import Subject
from tests.families.proof import LightProof, family_marks
from tests.families.reference import Reference, State
from tests.families.slow_tokenizer import SlowTokenizer
from tests.families.test_llava import VICUNA

pytestmark = family_marks
HELPFUL = (
    "You are a helpful language and vision assistant. You are able to understand the visual "
    "content that the user provides, and assist the user with a variety of tasks using natural "
    "language."
)
ALONE = "\x1f"
CURIOUS_HUMAN = VICUNA.replace("curious user", "curious human").replace("user's", "human's")


class TestShare4V(LightProof):
    """Another architecture's name and another tower."""

    checkpoint = "share4v"
    tower = "../ShareTiny_Pretrained_vit-large336-l12"
    prompt = VICUNA


class TestBakLlava(LightProof):
    """Mistral; `conv_llava_v1`."""

    checkpoint = "bakllava"
    tower = "../clip-tiny-bak"
    prompt = CURIOUS_HUMAN


class ChineseReference(Reference):
    """Ids as LinkSoul-AI/Chinese-LLaVA's infer_tokenize.py, by sentencepiece itself.

    `ALONE` parts texts that are tokenised each alone; a text after a special token begins anew, as
    the fast tokenizer of that time had it.
    """

    special: ClassVar[dict[str, int]] = {
        "<im_patch>": 640,
        "<im_start>": 641,
        "<im_end>": 642,
        "<s>": 1,
        "</s>": 2,
    }

    def pieces(self, prompt: str) -> list[list[int]]:
        """Ids of the text around each image."""
        import sentencepiece

        model = sentencepiece.SentencePieceProcessor(model_file=self.tokenizer.vocab_file)
        special = self.special
        parted = re.compile(f"({'|'.join(special)}|{ALONE})")
        found = []
        for piece in prompt.split("<image>"):
            ids: list[int] = []
            for text in filter(None, parted.split(piece)):
                if text != ALONE:
                    ids += [special[text]] if text in special else model.encode(text)
            found.append(ids)
        found[0].insert(0, 1)
        return found


class GlammReference(Reference):
    """The slow tokenizer of transformers 4.28: whitespace around an added token is stripped."""

    def __init__(self, checkpoint: Path, tower: Path, *, inside: bool) -> None:
        super().__init__(checkpoint, tower, inside=inside)
        self.raw["mm_projector_type"] = "mlp2x_gelu"
        self.slow = SlowTokenizer(checkpoint)

    def pieces(self, prompt: str) -> list[list[int]]:
        """Ids of the text around each image."""
        return self.slow.pieces(prompt)

    def language_model(self, state: State) -> Any:
        """A Llama; what makes masks and reads regions is not its."""
        self.raw["architectures"] = ["LlavaLlamaForCausalLM"]
        others = ("model.grounding_encoder.", "model.text_hidden_fcs.", "model.region_encoder.")
        return super().language_model(
            {name: value for name, value in state.items() if not name.startswith(others)}
        )


class TestGlamm(LightProof):
    """GLaMM's sentence before a question; tensors of masks and regions are left out."""

    checkpoint = "glamm"
    tower = "clip-tiny-glamm"
    prompt = CURIOUS_HUMAN

    @classmethod
    def read(cls, checkpoint: Path) -> Reference:
        """With the authors' tokenisation."""
        return GlammReference(checkpoint, (checkpoint / cls.tower).resolve(), inside=True)

    @staticmethod
    def write(text: str, images: int) -> str:
        """As app.py."""
        sentence = "The <im_start><image><im_end> provides an overview of the picture.\n"
        return sentence * images + text

    def test_an_earlier_answer_with_tags(self, subject: Subject) -> None:
        tagged = "A <p> man </p> [SEG] on <p> a horse </p> [SEG] ."
        messages = [
            {"role": "user", "content": "Q1"},
            {"role": "assistant", "content": tagged},
            {"role": "user", "content": "Q2"},
        ]
        [answer] = subject.served.chat(messages, tokens=1)
        text = self.prompt.format("Q1") + f" {tagged}</s>USER: Q2 ASSISTANT:"
        assert answer.prompt == subject.reference.pieces(text)[0]


class ChineseProof(LightProof):
    """Chinese-LLaVA: the image after the question, between trained tokens."""

    @classmethod
    def read(cls, checkpoint: Path) -> Reference:
        """With the authors' tokenisation."""
        return ChineseReference(checkpoint, (checkpoint / cls.tower).resolve(), inside=False)

    @staticmethod
    def write(text: str, images: int) -> str:
        """As infer.py."""
        return text + "\n<im_start><image><im_end>" * images


class TestChineseLlama2(ChineseProof):
    """Each turn is tokenised alone, with a space at its end."""

    checkpoint = "Chinese-LLaVA-Cllama2"
    tower = "../clip-tiny-431"
    prompt = f"[INST] <<SYS>>\n{HELPFUL}\n<</SYS>>\n\n{{}} [/INST] "

    def test_three_turns(self, subject: Subject) -> None:
        messages = [
            {"role": "user", "content": "Q1"},
            {"role": "assistant", "content": "A1"},
            {"role": "user", "content": "Q2"},
        ]
        [answer] = subject.served.chat(messages, tokens=1)
        text = self.prompt.format("Q1") + f"{ALONE}A1 </s><s>{ALONE}[INST] Q2 [/INST] "
        assert answer.prompt == subject.reference.pieces(text)[0]


class TestChineseBaichuan(ChineseProof):
    """System text, roles and questions are tokenised each alone."""

    checkpoint = "Chinese-LLaVA-Baichuan"
    tower = "../clip-tiny-441"
    prompt = f"{HELPFUL}{ALONE}USER:{ALONE}{{}}{ALONE}ASSISTANT:"
