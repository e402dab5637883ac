"""Token sequences, the chat template and batches."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from sensorium.model_adapters.demo import CHECKPOINT, small_talk
from sensorium.model_adapters.demo import tokenizer as tokens
from sensorium.model_adapters.demo.phrasing import Question, listing, plural, vary, with_article
from sensorium.model_adapters.demo.sequences import Medium, SequenceBuilder, attention_mask

if TYPE_CHECKING:
    from tokenizers import Tokenizer

pytest.importorskip("tokenizers")
jinja2 = pytest.importorskip("jinja2")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return tokens.load_tokenizer(CHECKPOINT)


def rendered(content: object) -> str:
    environment = jinja2.Environment(trim_blocks=False, lstrip_blocks=False)
    template = environment.from_string(tokens.CHAT_TEMPLATE)
    messages = [{"role": "user", "content": content}]
    text: str = template.render(messages=messages, add_generation_prompt=True)
    return text


def test_round_trip(tokenizer: Tokenizer) -> None:
    for text in ("What colour is the circle?", "Größe 12 €, naïve 🙂", " two  spaces"):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_special_tokens_have_the_ids_the_configuration_names(tokenizer: Tokenizer) -> None:
    for index, name in enumerate(tokens.SPECIAL):
        assert tokenizer.token_to_id(name) == index


def test_media_come_before_text() -> None:
    text = {"type": "text", "text": "What is this?"}
    picture = {"type": "image"}
    audio = {"type": "input_audio", "input_audio": {}}
    expected = (
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>"
        "<|audio_start|><|audio_pad|><|audio_end|>What is this?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert rendered([text, picture, audio]) == expected
    assert rendered([picture, audio, text]) == expected


def test_a_sequence_is_what_the_template_renders(tokenizer: Tokenizer) -> None:
    builder = SequenceBuilder(tokenizer)
    question = Question("count", "How many shapes are there?", "2.")
    made = builder.build(random.Random(1), [Medium("image", (1, 1, 1))], [question])
    prompt = rendered([{"type": "image"}, {"type": "text", "text": question.text}])
    assert made.ids == [*tokenizer.encode(prompt + "2.").ids, tokens.TURN_END]
    assert sum(made.targets) == len(tokenizer.encode("2.").ids) + 1


def test_questions_share_the_picture_and_not_each_other(tokenizer: Tokenizer) -> None:
    builder = SequenceBuilder(tokenizer)
    asked = [Question("count", "How many?", "2."), Question("color", "Which?", "Red.")]
    made = builder.build(random.Random(1), [Medium("image", (1, 4, 7))], asked)
    segments = np.array([made.segments])
    mask = attention_mask(segments)[0]
    first, second = (np.nonzero(segments[0] == index)[0] for index in (1, 2))
    assert not mask[np.ix_(second, first)].any()
    assert mask[second[-1], segments[0] == 0].all()
    positions = np.array(made.positions)
    assert (positions[:, first[0]] == positions[:, second[0]]).all()
    # 7 columns wide: the text starts 7 steps after the picture did.
    assert positions[0, first[0]] - positions[0, made.ids.index(tokens.IMAGE)] == 7 + 1


def test_seconds_of_a_clip_are_thirteen_steps_apart(tokenizer: Tokenizer) -> None:
    made = SequenceBuilder(tokenizer).build(random.Random(1), [Medium("video", (4, 2, 2))], [])
    times = [t for t, i in zip(made.positions[0], made.ids, strict=True) if i == tokens.VIDEO]
    assert [time - times[0] for time in times[::4]] == [0, 13, 26, 39]


def test_printed_text_is_spelled(tokenizer: Tokenizer) -> None:
    builder = SequenceBuilder(tokenizer)
    ids = builder.encode_answer("A red sign that says STOP on a white background.", "STOP")
    assert tokenizer.decode(ids) == "A red sign that says STOP on a white background."
    spelled = [tokenizer.encode(character).ids[0] for character in "STOP"]
    assert any(ids[start : start + 4] == spelled for start in range(len(ids)))


def test_grammar() -> None:
    assert with_article("orange star") == "an orange star"
    assert plural("cross") == "crosses"
    assert listing(["a", "b", "c"]) == "a, b and c"
    assert {vary(random.Random(s), "Describe it.") for s in range(200)} >= {
        "Describe it.",
        "describe it.",
        "Describe it",
        "Please describe it.",
        "Describe it. Answer briefly.",
    }


def test_refusals_fill_every_gap() -> None:
    for seed in range(300):
        question = small_talk.declined(random.Random(seed), with_media=bool(seed % 2))
        assert "{" not in question.text
        assert question.text not in small_talk.HELD_OUT
        assert question.answer.startswith("I can only answer")
