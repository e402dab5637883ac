"""Old language models alone, in their authors' layouts, equal their authors' code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.families import legacy_reference as reference
from tests.families import legacy_tokenizers as tokenizers
from tests.families.legacy_checkpoints import BUILDERS
from tests.families.proof import family_marks, in_compiled_chunks
from tests.families.served import Answer, Served, question
from tests.kit.hostile import NASTY, raw_ids

pytestmark = family_marks
TOLERANCE = 5e-4
# Two spaces, a number, other scripts, and a combining accent.
TEXTS = (
    "The licence of this work",
    " Notwithstanding  the above, 2004 copies\n\nare: 你好，你是谁",
    "Cafe\u0301 (x) <b> 'tis",
)


@dataclass
class Subject:
    """A served checkpoint and its reference."""

    served: Served
    reference: Any
    end: int

    def compare(self, answer: Answer) -> float:
        """The largest difference of top-5 log-probabilities; fails where tokens differ."""
        steps = len(answer.tokens)
        tokens, rows = reference.greedy(self.reference, answer.prompt, steps, self.end)
        assert answer.tokens == tokens
        return max(
            abs(value - float(row[token]))
            for step, row in zip(answer.top, rows, strict=True)
            for token, value in step.items()
        )


@pytest.fixture(scope="class")
def subject(folder: Path, request: pytest.FixtureRequest) -> Iterator[Subject]:
    """The checkpoint that the test class names, served, and its reference."""
    proof: Any = request.cls
    served = Served(built(folder, proof.checkpoint), **request.param)
    try:
        end = served.llm.get_tokenizer().eos_token_id
        yield Subject(served, proof.reference(built(folder, proof.checkpoint)), end)
    finally:
        served.close()


def built(folder: Path, name: str) -> Path:
    checkpoint = folder / f"legacy-{name}"
    if not checkpoint.exists():
        checkpoint.mkdir()
        BUILDERS[name](checkpoint)
    return checkpoint


@in_compiled_chunks
class LegacyProof:
    """What every old language model has to show."""

    checkpoint: ClassVar[str]
    reference: ClassVar[Callable[[Path], Any]]
    encode: ClassVar[tokenizers.Encode]
    # Ids that the authors' tokenizer puts before a text.
    first: ClassVar[list[int]] = []
    # The authors' text of one question, {} being the question; None: the model has no format.
    prompt: ClassVar[str | None] = None
    # A tensor's name and what spoils it the way a wrong translation would.
    slips: ClassVar[dict[str, Callable[[Any], None]]] = {}

    def ids(self, folder: Path, text: str) -> list[int]:
        return self.first + type(self).encode(built(folder, self.checkpoint), text)

    def test_texts_equal_the_reference(self, subject: Subject, folder: Path) -> None:
        answers = [subject.served.generate(text, tokens=16) for text in TEXTS]
        for text, answer in zip(TEXTS, answers, strict=True):
            assert answer.prompt == self.ids(folder, text)
            assert subject.compare(answer) < TOLERANCE
        assert len({tuple(answer.tokens) for answer in answers}) == len(TEXTS)

    def test_texts_equal_the_reference_uncompiled(self, subject: Subject, folder: Path) -> None:
        with subject.served.uncompiled():
            self.test_texts_equal_the_reference(subject, folder)

    def test_a_chat_equals_the_reference(self, subject: Subject, folder: Path) -> None:
        if self.prompt is None:
            with pytest.raises(ValueError, match="chat template"):
                subject.served.chat(question("Who are you?"))
            return
        [answer] = subject.served.chat(question("Who are you?"))
        assert answer.prompt == self.ids(folder, self.prompt.format("Who are you?"))
        assert subject.compare(answer) < TOLERANCE

    def test_no_prompt_ends_the_engine(self, subject: Subject) -> None:
        from vllm.exceptions import VLLMValidationError

        for ids in raw_ids(subject.served.llm):
            with suppress(VLLMValidationError):  # what is let in must do no harm
                subject.served.generate({"prompt_token_ids": ids})
        subject.served.generate(NASTY)
        if self.prompt is not None:
            subject.served.chat(question(NASTY))
        assert subject.compare(subject.served.generate(TEXTS[0], tokens=4)) < TOLERANCE

    def test_a_slip_is_seen(self, subject: Subject) -> None:
        assert self.slips
        answer = subject.served.generate(TEXTS[0], tokens=16)
        for slip in self.slips.values():
            spoilt = subject.reference.__class__.__new__(subject.reference.__class__)
            spoilt.__dict__.update(copied(subject.reference.__dict__))
            slip(spoilt)
            with pytest.raises(AssertionError):
                assert Subject(subject.served, spoilt, subject.end).compare(answer) < TOLERANCE


def copied(content: Any) -> Any:
    """Containers copied, tensors shared."""
    if isinstance(content, dict):
        return {name: copied(value) for name, value in content.items()}
    return [copied(value) for value in content] if isinstance(content, list) else content


def swap(first: str, second: str) -> Callable[[Any], None]:
    """Exchange two tensors of the last layer."""

    def slip(model: Any) -> None:
        state = model.state
        state[first], state[second] = state[second], state[first]

    return slip


def roll(name: str, thirds: int = 3) -> Callable[[Any], None]:
    """Rotate the parts of a packed matrix."""

    def slip(model: Any) -> None:
        rows = len(model.state[name]) // thirds
        model.state[name] = model.state[name].roll(rows, 0)

    return slip


class TestQwen(LegacyProof):
    """Qwen-1: GPT-2's names, ChatML, tiktoken."""

    checkpoint = "qwen"
    reference = reference.QwenReference
    encode = tokenizers.encode_qwen
    prompt = (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n{}<|im_end|>"
        "\n<|im_start|>assistant\n"
    )
    slips = {  # noqa: RUF012
        "gate and up": swap("transformer.h.2.mlp.w1.weight", "transformer.h.2.mlp.w2.weight"),
        "q, k, v": roll("transformer.h.2.attn.c_attn.weight"),
        "biases": roll("transformer.h.2.attn.c_attn.bias"),
    }

    def test_each_of_the_authors_ends_is_one(self, subject: Subject) -> None:
        """QwenLM/Qwen, qwen_generation_utils.py (`get_stop_words_ids`)."""
        for text in ("<|im_end|>", "<|im_start|>"):
            end = subject.served.llm.get_tokenizer().convert_tokens_to_ids(text)
            assert subject.served.generate("Who?", logit_bias={end: 100.0}).tokens == [end]


class TestInternLm(LegacyProof):
    """InternLM-1: biases, symbols inside the sentencepiece model, BOS."""

    checkpoint = "internlm"
    reference = reference.LlamaLikeReference
    encode = tokenizers.encode_sentencepiece
    first = [1]  # noqa: RUF012
    prompt = "<|User|>:{}<eoh>\n<|Bot|>:"
    slips = {  # noqa: RUF012
        "no bias": lambda model: model.state.pop("model.layers.1.self_attn.o_proj.bias"),
    }


class TestBaichuan(LegacyProof):
    """Baichuan-7B: W_pack, a dummy prefix, no BOS, no conversations."""

    checkpoint = "baichuan"
    reference = reference.LlamaLikeReference
    encode = tokenizers.encode_sentencepiece
    slips = {  # noqa: RUF012
        "q, k, v": roll("model.layers.2.self_attn.W_pack.weight"),
    }


class TestBaichuan2(LegacyProof):
    """Baichuan2-7B: the rows of the head are scaled."""

    checkpoint = "baichuan2"
    reference = reference.LlamaLikeReference
    encode = tokenizers.encode_sentencepiece
    prompt = "<reserved_106>{}<reserved_107>"
    slips = {  # noqa: RUF012
        "an ordinary head": lambda model: model.raw.update(architectures=["BaiChuanForCausalLM"]),
    }


class TestXverse(LegacyProof):
    """XVERSE: Llama's names, tokenizer.json."""

    checkpoint = "xverse"
    reference = reference.LlamaLikeReference
    encode = tokenizers.encode_xverse
    prompt = "Human: {}\n\nAssistant: "
    slips = {  # noqa: RUF012
        "gate and up": swap(
            "model.layers.2.mlp.gate_proj.weight", "model.layers.2.mlp.up_proj.weight"
        ),
    }


class TestAquila(LegacyProof):
    """Aquila2: grouped keys, GPT-2's tokenizer files."""

    checkpoint = "aquila"
    reference = reference.AquilaReference
    encode = tokenizers.encode_aquila
    prompt = "<|startofpiece|>{}<|endofpiece|> "
    slips = {  # noqa: RUF012
        "k and v": swap(
            "model.layers.2.self_attn.k_proj.weight", "model.layers.2.self_attn.v_proj.weight"
        ),
    }


def halves(model: Any) -> None:
    """What a loader would read that leaves Meta's rotary pairs side by side."""
    for rank in model.ranks:
        for part in ("wq", "wk"):
            name = f"layers.0.attention.{part}.weight"
            rows = rank[name].unflatten(0, (-1, 16, 2)).transpose(1, 2)
            rank[name] = rows.reshape(rank[name].shape)


def other_order(model: Any) -> None:
    """Shards joined in another order."""
    name = "layers.1.feed_forward.w1.weight"
    first, second = model.ranks
    first[name], second[name] = second[name], first[name]


class TestMeta(LegacyProof):
    """Meta's layout: params.json, two model-parallel files, rotary pairs side by side."""

    checkpoint = "meta"
    reference = reference.MetaReference
    encode = tokenizers.encode_sentencepiece
    first = [1]  # noqa: RUF012
    slips = {"halves": halves, "order of shards": other_order}  # noqa: RUF012
