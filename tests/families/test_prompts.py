"""Conversation styles write what the authors' conversation classes write, to the character."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from sensorium.model_adapters import prompts
from sensorium.model_adapters.choices import CONVERSATION
from sensorium.model_adapters.conversation import choose_style
from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.prompt_style import (
    ANSWER_MARK,
    IMAGE_MARK,
    PIECE_MARK,
    USER_MARK,
    PromptStyle,
    Turn,
)
from sensorium.model_adapters.registry import recognise
from tests.families.test_registry import LLAVA
from tests.families.written_prompts import HUMAN, IDS, ONE, QWEN_VISUAL, THREE, WRITTEN


@pytest.mark.parametrize(("style", "one", "three", "with_system"), WRITTEN, ids=IDS)
class TestStyle:
    def test_render(self, style: PromptStyle, one: str, three: str, with_system: str) -> None:
        assert style.render(ONE) == one
        assert style.render(THREE) == three
        assert style.render([("system", "S"), *ONE]) == with_system

    def test_jinja_writes_the_same(
        self, style: PromptStyle, one: str, three: str, with_system: str
    ) -> None:
        assert by_template(style, ONE) == one
        assert by_template(style, THREE, bos=True) == f"<s>{three}"
        assert by_template(style, [("system", "S"), *ONE], bos=True) == f"<s>{with_system}"
        nasty: list[Turn] = [("user", "{{ x }} {system} {text} '\\n'\n")]
        assert by_template(style, nasty) == style.render(nasty)

    def test_jinja_writes_images_as_render_does(
        self, style: PromptStyle, one: str, three: str, with_system: str
    ) -> None:
        image = f"{IMAGE_MARK}\n"
        turns = [("user", f"{image}{image}\nQ1 "), ("assistant", "A1"), ("user", f"{image}Q2")]
        plain = [(role, text.replace(IMAGE_MARK, "<image>")) for role, text in turns]
        written = by_template(style, turns).replace(IMAGE_MARK, "<image>")
        assert written == style.render(plain)
        assert by_template(style, turns).count(IMAGE_MARK) == 3


def by_template(style: PromptStyle, turns: list[Turn], *, bos: bool = False) -> str:
    sandbox = pytest.importorskip("jinja2.sandbox", reason="an engine extra brings it")
    environment = sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    messages = [{"role": role, "content": text} for role, text in turns]
    template = environment.from_string(style.jinja(bos=bos))
    text: str = template.render(messages=messages, add_generation_prompt=True, bos_token="<s>")
    assert text.count(USER_MARK) % 2 == 0
    return re.sub(f"{USER_MARK}|{ANSWER_MARK}|{re.escape(PIECE_MARK)}", "", text)


NUMBERED = PromptStyle(
    name="numbered",
    system="",
    user="USER: {text} ",
    assistant="ASSISTANT: {text} ",
    generation="ASSISTANT:",
    image="Picture {number}: <img>{image}</img>\n",
    strip=True,
)


def test_an_image_is_written_as_the_style_says() -> None:
    turns: list[Turn] = [
        ("user", "<image>\n<image>\nQ1\n"),
        ("assistant", " A1"),
        ("user", "<image>\nQ2"),
    ]
    text = (
        "USER: Picture 1: <img><image></img>\nPicture 2: <img><image></img>\nQ1 ASSISTANT: A1 "
        "USER: Picture 3: <img><image></img>\nQ2 ASSISTANT:"
    )
    assert NUMBERED.render(turns) == text
    marked = [(role, turn.replace("<image>", IMAGE_MARK)) for role, turn in turns]
    assert by_template(NUMBERED, marked).replace(IMAGE_MARK, "<image>") == text


def test_images_may_follow_the_text_between_tokens() -> None:
    style = replace(prompts.LLAVA_V0, images_last=True, image="\n{image}")
    style = style.around_images("<im_start>", "<im_end>")
    turns: list[Turn] = [("user", "<image>\n<image>\nQ1")]
    image = "\n<im_start><image><im_end>"
    text = f"{HUMAN}###Human: Q1{image}{image}###Assistant:"
    assert style.render(turns) == text
    marked = [(role, turn.replace("<image>", IMAGE_MARK)) for role, turn in turns]
    assert by_template(style, marked).replace(IMAGE_MARK, "<image>") == text


@pytest.mark.parametrize(
    ("checkpoint", "style"),
    [
        ("LLaVA-VL/llava_plus_v0_7b", "llava_v0"),
        ("superjelly/SPA-VL-DPO_30k", "vicuna_v1"),
        ("openbmb/RLAIF-V-7B", "llava_v1"),
        ("Efficient-Large-Model/VILA-2.7b", "vicuna_v1"),
        ("Efficient-Large-Model/VILA-7b", "vicuna_v1"),
    ],
)
def test_the_style_goes_by_the_checkpoints_name(checkpoint: str, style: str) -> None:
    match = recognise(LLAVA)
    assert match is not None
    listed = " ".join(match.spec.checkpoints)
    assert checkpoint in listed or f"{checkpoint.rpartition('-')[0]}-{{" in listed
    assert choose_style(match, checkpoint).name == style


def test_qwen_vl_base_continues_the_bare_question() -> None:
    match = recognise({"architectures": ["QWenLMHeadModel"], "visual": QWEN_VISUAL})
    assert match is not None
    assert choose_style(match, "Qwen/Qwen-VL-Chat").name == "qwen_vl"
    base = choose_style(match, "Qwen/Qwen-VL")
    turns: list[Turn] = [("user", "<image>\nGenerate the caption in English with grounding:")]
    text = "Picture 1: <img><image></img>\nGenerate the caption in English with grounding:"
    assert base.render(turns) == text


def test_a_conversation_cannot_leave_its_marks() -> None:
    sandbox = pytest.importorskip("jinja2.sandbox", reason="an engine extra brings it")
    template = sandbox.ImmutableSandboxedEnvironment().from_string(
        prompts.VICUNA_V1.jinja(bos=False)
    )
    mark = USER_MARK
    messages = [
        {"role": "system", "content": f"a{mark}b"},
        {"role": "user", "content": f"{mark}</s>{mark}"},
    ]
    text = template.render(messages=messages, add_generation_prompt=True)
    assert text == f"{mark}ab{mark} USER: {mark}</s>{mark} ASSISTANT:"


def test_styles_are_found_by_name() -> None:
    assert prompts.STYLES["llava_v0"] is prompts.LLAVA_V0
    # Those that only suit a way of reading videos go with their families alone.
    named = {style.name for style, *_ in WRITTEN if style.video == "{video}\n"}
    assert set(prompts.STYLES) >= named


def test_a_familys_own_style_is_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONVERSATION, "qwen_vl")
    match = recognise({**LLAVA, "architectures": ["LlavaLlamaForCausalLM"]})
    assert match is not None
    assert "Picture {number}" in choose_style(match, "somewhere").image
    monkeypatch.setenv(CONVERSATION, "no_such_style")
    with pytest.raises(CheckpointError, match="qwen_vl"):
        choose_style(match, "somewhere")
