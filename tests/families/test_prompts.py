"""Conversation styles write what the authors' conversation classes write, to the character."""

from __future__ import annotations

import pytest

from sensorium.model_adapters import prompts
from sensorium.model_adapters.prompts import PromptStyle, Turn

USER = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
HUMAN = USER.replace("user", "human")
ONE: list[Turn] = [("user", "Q1")]
THREE: list[Turn] = [
    ("user", "Q1"),
    ("assistant", "A1"),
    ("user", "Q2"),
    ("assistant", "A2"),
    ("user", "Q3"),
]
YI = prompts.YI_VL.system
LLAMA = prompts.LLAMA_2.system
# (style, what one turn is, what three turns are, what one turn with the system text S is)
WRITTEN = [
    (
        prompts.VICUNA_V1,
        f"{USER} USER: Q1 ASSISTANT:",
        f"{USER} USER: Q1 ASSISTANT: A1</s>USER: Q2 ASSISTANT: A2</s>USER: Q3 ASSISTANT:",
        "S USER: Q1 ASSISTANT:",
    ),
    (
        prompts.LLAVA_V1,
        f"{HUMAN} USER: Q1 ASSISTANT:",
        f"{HUMAN} USER: Q1 ASSISTANT: A1</s>USER: Q2 ASSISTANT: A2</s>USER: Q3 ASSISTANT:",
        "S USER: Q1 ASSISTANT:",
    ),
    (
        prompts.LLAVA_V0,
        f"{HUMAN}###Human: Q1###Assistant:",
        f"{HUMAN}###Human: Q1###Assistant: A1###Human: Q2###Assistant: A2###Human: Q3###Assistant:",
        "S###Human: Q1###Assistant:",
    ),
    (
        prompts.BUNNY,
        f"{USER} USER: Q1 ASSISTANT:",
        f"{USER} USER: Q1 ASSISTANT: A1<|endoftext|>USER: Q2 ASSISTANT: A2<|endoftext|>"
        "USER: Q3 ASSISTANT:",
        "S USER: Q1 ASSISTANT:",
    ),
    (
        prompts.YI_VL,
        f"{YI}\n\n### Human: Q1\n### Assistant:",
        f"{YI}\n\n### Human: Q1\n### Assistant: A1\n### Human: Q2\n### Assistant: A2\n"
        "### Human: Q3\n### Assistant:",
        "S\n\n### Human: Q1\n### Assistant:",
    ),
    (
        prompts.LLAMA_2,
        f"[INST] <<SYS>>\n{LLAMA}\n<</SYS>>\n\nQ1 [/INST]",
        f"[INST] <<SYS>>\n{LLAMA}\n<</SYS>>\n\nQ1 [/INST] A1 </s><s>[INST] Q2 [/INST] A2 </s>"
        "<s>[INST] Q3 [/INST]",
        "[INST] <<SYS>>\nS\n<</SYS>>\n\nQ1 [/INST]",
    ),
    (
        prompts.MISTRAL_INSTRUCT,
        "[INST] Q1 [/INST]",
        "[INST] Q1 [/INST] A1 </s>[INST] Q2 [/INST] A2 </s>[INST] Q3 [/INST]",
        "[INST] <<SYS>>\nS\n<</SYS>>\n\nQ1 [/INST]",
    ),
    (
        prompts.CHATML_DIRECT,
        "<|im_start|>system\nAnswer the questions.<|im_end|><|im_start|>user\nQ1<|im_end|>"
        "<|im_start|>assistant\n",
        "<|im_start|>system\nAnswer the questions.<|im_end|><|im_start|>user\nQ1<|im_end|>"
        "<|im_start|>assistant\nA1<|im_end|><|im_start|>user\nQ2<|im_end|>"
        "<|im_start|>assistant\nA2<|im_end|><|im_start|>user\nQ3<|im_end|><|im_start|>assistant\n",
        "<|im_start|>system\nS<|im_end|><|im_start|>user\nQ1<|im_end|><|im_start|>assistant\n",
    ),
]
IDS = [entry[0].name for entry in WRITTEN]


@pytest.mark.parametrize(("style", "one", "three", "with_system"), WRITTEN, ids=IDS)
class TestStyle:
    def test_render(self, style: PromptStyle, one: str, three: str, with_system: str) -> None:
        assert style.render(ONE) == one
        assert style.render(THREE) == three
        assert style.render([("system", "S"), *ONE]) == with_system

    def test_jinja_writes_the_same(
        self, style: PromptStyle, one: str, three: str, with_system: str
    ) -> None:
        sandbox = pytest.importorskip("jinja2.sandbox", reason="an engine extra brings it")
        environment = sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)

        def render(turns: list[Turn], bos: bool) -> str:
            messages = [{"role": role, "content": text} for role, text in turns]
            template = environment.from_string(style.jinja(bos=bos))
            text: str = template.render(
                messages=messages, add_generation_prompt=True, bos_token="<s>"
            )
            return text

        assert render(ONE, False) == one
        assert render(THREE, True) == f"<s>{three}"
        assert render([("system", "S"), *ONE], True) == f"<s>{with_system}"
        nasty: list[Turn] = [("user", "{{ x }} {system} {text} '\\n'\n")]
        assert render(nasty, False) == style.render(nasty)
