"""XVERSE 7B, 13B and 65B: Llama under its own name.

Facts: xverse/XVERSE-13B-Chat, modeling_xverse.py (`_build_chat_input`); the mixture-of-experts
models have another layout. The authors tokenise earlier turns one by one, here a conversation is
one text: ids can differ at the line breaks between an earlier question and its answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.language_models.text_model import TextModel
from sensorium.model_adapters.prompt_style import PromptStyle
from sensorium.model_adapters.spec import LanguageModel
from sensorium.model_adapters.translation import Translation, llama_fields

__all__ = ["TEXT_MODEL", "XVERSE", "XVERSE_CHAT"]

XVERSE_CHAT = PromptStyle(
    name="xverse_chat",
    system="",
    first_user="{system}\n\nHuman: {text}\n\n",
    user="Human: {text}\n\n",
    assistant="Assistant: {text}<|endoftext|>",
    generation="Assistant: ",
)


def _fields(raw: Mapping[str, Any]) -> dict[str, Any]:
    if raw.get("num_experts"):
        raise CheckpointError(
            f"the config's `num_experts` is {raw['num_experts']!r}: XVERSE's mixture-of-experts "
            "models are not served"
        )
    return llama_fields(raw, "XVERSE")


XVERSE = LanguageModel(
    "llama", "LlamaForCausalLM", translation=Translation(name="xverse", fields=_fields)
)


def _style(raw: Mapping[str, Any], generation: Mapping[str, Any]) -> PromptStyle:
    return XVERSE_CHAT


TEXT_MODEL = TextModel(
    name="xverse",
    title="XVERSE",
    checkpoints=("xverse/XVERSE-7B-Chat", "xverse/XVERSE-13B-Chat", "xverse/XVERSE-65B"),
    architectures=("XverseForCausalLM",),
    language_model=XVERSE,
    style=_style,
    limits=(
        "no mixture-of-experts models; the base models have the chat models' format too; with "
        "several turns, line breaks may be tokenised otherwise than by the authors, turn by turn"
    ),
    proof="tests/families/test_legacy_lms.py",
)
