"""InternLM (the first, `InternLMForCausalLM`): Llama with biases in the attention.

Facts: InternLM/InternLM and internlm-chat-7b, modeling_internlm.py (`bias` is that of q, k, v and
o; the MLP has none; `rotary: {type: dynamic}` widens the rotary base only past
`max_position_embeddings`), tokenization_internlm.py (sentencepiece's own settings, BOS).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sensorium.model_adapters.language_models.text_model import TextModel
from sensorium.model_adapters.prompt_style import PromptStyle
from sensorium.model_adapters.spec import LanguageModel
from sensorium.model_adapters.tokenizer_kinds import SentencePieceFile
from sensorium.model_adapters.translation import Translation, llama_fields

__all__ = ["INTERNLM", "INTERNLM_CHAT", "INTERNLM_CHAT_20B", "TEXT_MODEL"]

INTERNLM_CHAT = PromptStyle(
    name="internlm_chat",
    system="",
    first_user="<|System|>:{system}\n<|User|>:{text}<eoh>\n",
    user="<|User|>:{text}<eoh>\n",
    assistant="<|Bot|>:{text}<eoa>\n",
    generation="<|Bot|>:",
    stops=("<eoa>",),
)
INTERNLM_CHAT_20B = PromptStyle(
    name="internlm_chat_20b",
    system="",
    first_user="<|System|>:{system}\n<|User|>:{text}\n",
    user="<|User|>:{text}\n",
    assistant="<|Bot|>:{text}<eoa>\n",
    generation="<|Bot|>:",
    stops=("<eoa>",),
)
_LAYERS_OF_20B = 60


def _fields(raw: Mapping[str, Any]) -> dict[str, Any]:
    rotary = raw.get("rotary") or {}
    return llama_fields(
        raw,
        "InternLM-1",
        rope_theta=float(rotary.get("base", 10000)),
        attention_bias=bool(raw.get("bias", True)),
    )


INTERNLM = LanguageModel(
    "llama",
    "LlamaForCausalLM",
    translation=Translation(name="internlm", fields=_fields),
    tokenizer=SentencePieceFile(),
)


def _style(raw: Mapping[str, Any], generation: Mapping[str, Any]) -> PromptStyle:
    """The 20B model was trained without `<eoh>`."""
    large = raw["num_hidden_layers"] == _LAYERS_OF_20B
    return INTERNLM_CHAT_20B if large else INTERNLM_CHAT


TEXT_MODEL = TextModel(
    name="internlm",
    title="InternLM (the first generation)",
    checkpoints=("internlm/internlm-7b", "internlm/internlm-chat-7b", "internlm/internlm-chat-20b"),
    architectures=("InternLMForCausalLM",),
    language_model=INTERNLM,
    style=_style,
    limits=(
        "the context ends at `max_position_embeddings`; internlm-chat-7b-v1_1 writes no `<eoh>` "
        "and needs `--chat-template`"
    ),
    proof="tests/families/test_legacy_lms.py",
)
