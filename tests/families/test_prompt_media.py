"""Conversation styles write images and videos where, and as, the authors' code does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sensorium.model_adapters import prompts, video_prompts
from sensorium.model_adapters.prompt_style import (
    IMAGE_MARK,
    VIDEO_MARK,
    PromptStyle,
    Turn,
)
from tests.families.test_prompts import by_template


def test_images_of_one_question_are_joined_as_the_style_says() -> None:
    style = replace(prompts.QWEN_1_5, next_image="{image} ")
    turns: list[Turn] = [("user", "<image>\n<image>\n<image>\nQ1"), ("user", "<image>\nQ2")]
    text = style.render(turns, generate=False)
    assert "user\n<image> <image> <image>\nQ1<" in text
    assert "user\n<image>\nQ2<" in text
    marked = [(role, turn.replace("<image>", IMAGE_MARK)) for role, turn in turns]
    templated = by_template(style, marked).replace(IMAGE_MARK, "<image>")
    assert templated == style.render(turns)


@pytest.mark.parametrize(
    ("style", "written"),
    [
        (prompts.QWEN_1_5, "user\n<video>\nQ1<|im_end|>"),
        (
            video_prompts.IMAGE_SEQ_V3,
            "USER: <video>\nThe input consists of a sequence of",
        ),
        (video_prompts.SHAREGPT4VIDEO, "throughout the frames.Q1<|eot_id|>"),
        (video_prompts.VALLEY, " Human: Q1\n<im_start><video><vi_end> \n###"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_video_is_written_as_the_style_says(style: PromptStyle, written: str) -> None:
    text = style.render([("user", "<video>\nQ1")])
    assert written in text
    templated = by_template(style, [("user", f"{VIDEO_MARK}\nQ1")])
    assert templated.replace(VIDEO_MARK, "<video>") == text


@pytest.mark.parametrize(
    ("media", "text", "written"),
    [
        ("IV", "Q1", "<image><video>\nQ1"),
        ("VVI", "Q1", "<video><video><image>\nQ1"),
        ("III", "\nQ1\n\n", "<image><image><image>\n\nQ1\n\n"),
        ("", "Q1\nQ2", "Q1\nQ2"),
    ],
)
def test_video_llava_writes_media_in_a_line(media: str, text: str, written: str) -> None:
    marks = {"I": (IMAGE_MARK, "<image>"), "V": (VIDEO_MARK, "<video>")}
    hidden, shown = ("".join(f"{marks[one][n]}\n" for one in media) + text for n in (0, 1))
    style = prompts.VIDEO_LLAVA
    assert style.render([("user", shown)]).endswith(f" USER: {written} ASSISTANT:")
    templated = by_template(style, [("user", hidden)])
    for mark, name in marks.values():
        templated = templated.replace(mark, name)
    assert templated == style.render([("user", shown)])


def test_valley_asks_before_the_image() -> None:
    written = " Human: Q1\n<im_start><image><vi_end> \n###"
    assert video_prompts.VALLEY.render([("user", "<image>\nQ1")]).endswith(written)
    templated = by_template(video_prompts.VALLEY, [("user", f"{IMAGE_MARK}\nQ1")])
    assert templated.replace(IMAGE_MARK, "<image>").endswith(written)


def test_moondream_asks_after_the_image() -> None:
    turns: list[Turn] = [("user", "<image>\nQ1"), ("assistant", "A1"), ("user", "Q2")]
    text = "<image><image></image>\n\nQuestion: Q1\n\nAnswer: A1\n\nQuestion: Q2\n\nAnswer: "
    assert prompts.MOONDREAM1.render(turns) == text
