"""The conversation formats of old language models, to the character."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest

from sensorium.model_adapters.language_models import aquila, baichuan, internlm, qwen, xverse
from sensorium.model_adapters.prompt_style import ANSWER_MARK, USER_MARK, PromptStyle, Turn
from tests.families.written_prompts import HUMAN, ONE, THREE

_AQUILA = {style.name: style for style in aquila.STYLES}
_SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>"
# (style, what one turn is, what three turns are, what one turn with the system text S is); from
# `make_context`, `build_inputs`, `_build_chat_input` and Aquila's predict.py.
WRITTEN = [
    (
        qwen.QWEN_CHATML,
        f"{_SYSTEM}\n<|im_start|>user\nQ1<|im_end|>\n<|im_start|>assistant\n",
        f"{_SYSTEM}\n<|im_start|>user\nQ1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>"
        "\n<|im_start|>user\nQ2<|im_end|>\n<|im_start|>assistant\nA2<|im_end|>"
        "\n<|im_start|>user\nQ3<|im_end|>\n<|im_start|>assistant\n",
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nQ1<|im_end|>\n<|im_start|>assistant\n",
    ),
    (
        internlm.INTERNLM_CHAT,
        "<|User|>:Q1<eoh>\n<|Bot|>:",
        "<|User|>:Q1<eoh>\n<|Bot|>:A1<eoa>\n<|User|>:Q2<eoh>\n<|Bot|>:A2<eoa>\n"
        "<|User|>:Q3<eoh>\n<|Bot|>:",
        "<|System|>:S\n<|User|>:Q1<eoh>\n<|Bot|>:",
    ),
    (
        internlm.INTERNLM_CHAT_20B,
        "<|User|>:Q1\n<|Bot|>:",
        "<|User|>:Q1\n<|Bot|>:A1<eoa>\n<|User|>:Q2\n<|Bot|>:A2<eoa>\n<|User|>:Q3\n<|Bot|>:",
        "<|System|>:S\n<|User|>:Q1\n<|Bot|>:",
    ),
    (
        xverse.XVERSE_CHAT,
        "Human: Q1\n\nAssistant: ",
        "Human: Q1\n\nAssistant: A1<|endoftext|>Human: Q2\n\nAssistant: A2<|endoftext|>"
        "Human: Q3\n\nAssistant: ",
        "S\n\nHuman: Q1\n\nAssistant: ",
    ),
    (
        baichuan.BAICHUAN2_CHAT,
        "<reserved_106>Q1<reserved_107>",
        "<reserved_106>Q1<reserved_107>A1<reserved_106>Q2<reserved_107>A2"
        "<reserved_106>Q3<reserved_107>",
        "S<reserved_106>Q1<reserved_107>",
    ),
    (
        _AQUILA["aquila-chat"],
        f"{HUMAN}###Human: Q1###Assistant: ",
        f"{HUMAN}###Human: Q1###Assistant: A1###Human: Q2###Assistant: A2###"
        "Human: Q3###Assistant: ",
        "S###Human: Q1###Assistant: ",
    ),
    (
        _AQUILA["aquila"],
        f"{HUMAN}###Human: Q1###Assistant: ",
        f"{HUMAN}###Human: Q1###Assistant: A1</s>Human: Q2###Assistant: A2</s>"
        "Human: Q3###Assistant: ",
        "S###Human: Q1###Assistant: ",
    ),
    (
        _AQUILA["aquila-legacy"],
        f"{HUMAN}\n\n### Human: Q1\n### Assistant:  ",
        f"{HUMAN}\n\n### Human: Q1\n### Assistant: A1</s>### Human: Q2\n### Assistant: A2</s>"
        "### Human: Q3\n### Assistant:  ",
        "S### Human: Q1\n### Assistant:  ",
    ),
    (
        _AQUILA["aquila-v1"],
        "<|startofpiece|>Q1<|endofpiece|> ",
        "<|startofpiece|>Q1<|endofpiece|>A1</s><|startofpiece|>Q2<|endofpiece|>A2</s>"
        "<|startofpiece|>Q3<|endofpiece|> ",
        "S<|startofpiece|>Q1<|endofpiece|> ",
    ),
]
IDS = [entry[0].name for entry in WRITTEN]


@pytest.mark.parametrize(("style", "one", "three", "with_system"), WRITTEN, ids=IDS)
def test_writes_what_the_authors_write(
    style: PromptStyle, one: str, three: str, with_system: str
) -> None:
    for write in (style.render, partial(_by_jinja, style)):
        assert write(ONE) == one
        assert write(THREE) == three
        assert write([("system", "S"), *ONE]) == with_system


def _by_jinja(style: PromptStyle, turns: Sequence[Turn]) -> str:
    sandbox = pytest.importorskip("jinja2.sandbox", reason="an engine extra brings it")
    environment = sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    messages = [{"role": role, "content": text} for role, text in turns]
    template = environment.from_string(style.jinja(bos=False))
    text = str(template.render(messages=messages, add_generation_prompt=True))
    return text.replace(USER_MARK, "").replace(ANSWER_MARK, "")
