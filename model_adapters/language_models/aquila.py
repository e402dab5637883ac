"""Aquila and Aquila2: Llama under its own name.

Facts: FlagAI-Open/FlagAI and BAAI/AquilaChat2-34B, modeling_aquila.py, predict.py (which format
belongs to which model, by the model's name; the prompt ends with a space). The authors' attention
cuts scores off at 1024 in size before the softmax, a guard against overflow that is left out here.

A config does not say its model's name. `AquilaModel` is the first generation; of the second, models
with 16k positions, with 60 layers or more, and all others have a format each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sensorium.model_adapters.language_models.text_model import TextModel
from sensorium.model_adapters.prompt_style import PromptStyle
from sensorium.model_adapters.spec import LanguageModel
from sensorium.model_adapters.translation import Translation, llama_fields

__all__ = ["AQUILA", "STYLES", "TEXT_MODEL"]

_CURIOUS = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
STYLES = (
    PromptStyle(
        name="aquila-chat",
        system=_CURIOUS,
        system_format="{system}###",
        user="Human: {text}###",
        assistant="Assistant: {text}###",
        generation="Assistant: ",
        stops=("###", "</s>", "[UNK]"),
    ),
    PromptStyle(
        name="aquila",
        system=_CURIOUS,
        system_format="{system}###",
        user="Human: {text}###",
        assistant="Assistant: {text}</s>",
        generation="Assistant: ",
        stops=("</s>", "[UNK]"),
    ),
    PromptStyle(
        name="aquila-legacy",
        system=f"{_CURIOUS}\n\n",
        user="### Human: {text}\n",
        assistant="### Assistant: {text}</s>",
        generation="### Assistant:  ",
        stops=("</s>", "[UNK]"),
    ),
    PromptStyle(
        name="aquila-v1",
        system="",
        user="<|startofpiece|>{text}",
        assistant="<|endofpiece|>{text}</s>",
        generation="<|endofpiece|> ",
        stops=("</s>", "<|endoftext|>"),
    ),
)
_BY_NAME = {style.name: style for style in STYLES}


def _fields(raw: Mapping[str, Any]) -> dict[str, Any]:
    scaling = {"rope_scaling": raw["rope_scaling"]} if raw.get("rope_scaling") else {}
    return llama_fields(raw, "Aquila", **scaling)


AQUILA = LanguageModel(
    "llama", "LlamaForCausalLM", translation=Translation(name="aquila", fields=_fields)
)


def _style(raw: Mapping[str, Any], generation: Mapping[str, Any]) -> PromptStyle:
    if raw["architectures"][0] == "AquilaModel":
        return _BY_NAME["aquila-chat"]
    if int(raw["max_position_embeddings"]) >= 16384:
        return _BY_NAME["aquila"]
    return _BY_NAME["aquila-legacy" if raw["num_hidden_layers"] >= 60 else "aquila-v1"]


TEXT_MODEL = TextModel(
    name="aquila",
    title="Aquila and Aquila2",
    checkpoints=("BAAI/AquilaChat-7B", "BAAI/AquilaChat2-7B", "BAAI/AquilaChat2-34B-16K"),
    architectures=("AquilaModel", "AquilaForCausalLM"),
    language_model=AQUILA,
    style=_style,
    limits="the format is chosen by size and context, as the config does not say the model's name",
    proof="tests/families/test_legacy_lms.py",
)
