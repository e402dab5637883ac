"""Baichuan-7B and Baichuan2-7B: Llama with q, k and v in one matrix.

Facts: baichuan-inc/Baichuan-7B and Baichuan2-7B, modeling_baichuan.py (`W_pack` holds q, k and v
one under another; Baichuan2's `NormHead` scales the rows of `lm_head` to length one),
tokenization_baichuan.py. The 13B models have no rotary positions (ALiBi) and say `model_max_length`
where the 7B models say `max_position_embeddings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.language_models.text_model import TextModel
from sensorium.model_adapters.prompt_style import PromptStyle
from sensorium.model_adapters.spec import LanguageModel
from sensorium.model_adapters.tokenizer_kinds import SentencePieceFile
from sensorium.model_adapters.translation import Translation, llama_fields

__all__ = ["BAICHUAN", "BAICHUAN2", "BAICHUAN2_CHAT", "BAICHUAN2_TEXT_MODEL", "TEXT_MODEL"]

BAICHUAN2_CHAT = PromptStyle(
    name="baichuan2_chat",
    system="",
    user="<reserved_106>{text}",
    assistant="<reserved_107>{text}",
    generation="<reserved_107>",
)


def _fields(raw: Mapping[str, Any]) -> dict[str, Any]:
    if raw.get("max_position_embeddings") is None:
        raise CheckpointError(
            "the config has no `max_position_embeddings`, as those of Baichuan-13B and "
            "Baichuan2-13B: they use ALiBi positions, which are not served; Baichuan-7B and "
            "Baichuan2-7B are"
        )
    return llama_fields(raw, "Baichuan-7B")


_TRANSLATION = Translation(
    name="baichuan",
    fields=_fields,
    parts={"self_attn.W_pack": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")},
)
BAICHUAN = LanguageModel(
    "llama", "LlamaForCausalLM", translation=_TRANSLATION, tokenizer=SentencePieceFile()
)
BAICHUAN2 = replace(
    BAICHUAN, translation=replace(_TRANSLATION, name="baichuan2", unit_rows=("lm_head",))
)


def _chat_if_trained(raw: Mapping[str, Any], generation: Mapping[str, Any]) -> PromptStyle | None:
    """The chat models' generation config names the tokens of the two speakers."""
    return BAICHUAN2_CHAT if "user_token_id" in generation else None


TEXT_MODEL = TextModel(
    name="baichuan",
    title="Baichuan-7B",
    checkpoints=("baichuan-inc/Baichuan-7B",),
    architectures=("BaiChuanForCausalLM",),
    language_model=BAICHUAN,
    limits="no conversation format: the model continues texts",
    proof="tests/families/test_legacy_lms.py",
)
BAICHUAN2_TEXT_MODEL = TextModel(
    name="baichuan2",
    title="Baichuan2-7B",
    checkpoints=("baichuan-inc/Baichuan2-7B-Base", "baichuan-inc/Baichuan2-7B-Chat"),
    architectures=("BaichuanForCausalLM",),
    language_model=BAICHUAN2,
    style=_chat_if_trained,
    limits="7B only: the 13B models use ALiBi positions and are refused",
    proof="tests/families/test_legacy_lms.py",
)
