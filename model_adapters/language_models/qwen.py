"""Qwen (the first, `QWenLMHeadModel`): Qwen2 under GPT-2's names.

Facts: QwenLM/Qwen and QwenLM/Qwen-VL, modeling_qwen.py (`a1 * silu(a2)` with a1 from `w1`, so the
gate is `w2`; q, k and v one under another in `c_attn`, the only linear layer with a bias),
tokenization_qwen.py, qwen_generation_utils.py (`make_context`).

Beyond `seq_length` tokens the authors scale queries by log(position, seq_length)
(`use_logn_attn`) and widen the rotary base with the length of the prompt (`use_dynamic_ntk`). Up to
`seq_length` both do nothing, which is what is served: the context ends there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.language_models.text_model import TextModel
from sensorium.model_adapters.prompt_style import PromptStyle
from sensorium.model_adapters.spec import LanguageModel
from sensorium.model_adapters.tokenizer_kinds import TiktokenFile
from sensorium.model_adapters.translation import Translation, refuse_other_values

__all__ = ["QWEN", "QWEN_CHATML", "QWEN_TOKENIZER", "QWEN_VL_TOKENIZER", "TEXT_MODEL"]

_SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    *(f"<|extra_{number}|>" for number in range(205)),
)
QWEN_TOKENIZER = TiktokenFile(
    file="qwen.tiktoken",
    pattern=(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
        r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    special=_SPECIAL,
    end="<|endoftext|>",
    chat_end="<|im_end|>",
)
_TAGS = ("ref", "box", "quad", "img")
QWEN_VL_TOKENIZER = replace(
    QWEN_TOKENIZER,
    special=(
        *_SPECIAL,
        *(mark for tag in _TAGS for mark in (f"<{tag}>", f"</{tag}>")),
        "<imgpad>",
    ),
)
QWEN_CHATML = PromptStyle(
    name="qwen_chatml",
    system="You are a helpful assistant.",
    system_format="<|im_start|>system\n{system}<|im_end|>",
    user="\n<|im_start|>user\n{text}<|im_end|>",
    assistant="\n<|im_start|>assistant\n{text}<|im_end|>",
    generation="\n<|im_start|>assistant\n",
    stops=("<|im_end|>", "<|im_start|>"),
)
_SERVED = {
    "no_bias": (True,),
    "scale_attn_weights": (True,),
    "rotary_pct": (1.0,),
    "use_cache_quantization": (False,),
}


def _fields(raw: Mapping[str, Any]) -> dict[str, Any]:
    refuse_other_values(raw, _SERVED, "Qwen-1")
    heads, width = int(raw["num_attention_heads"]), int(raw["hidden_size"])
    if raw.get("kv_channels") not in (None, width // heads):
        raise CheckpointError(
            f"the config's `kv_channels` is {raw['kv_channels']!r}; Qwen-1 is served with "
            f"hidden_size / num_attention_heads = {width // heads}"
        )
    return {
        "vocab_size": raw["vocab_size"],
        "hidden_size": width,
        # The authors count w1 and w2 together.
        "intermediate_size": int(raw["intermediate_size"]) // 2,
        "num_hidden_layers": raw["num_hidden_layers"],
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "rms_norm_eps": raw.get("layer_norm_epsilon", 1e-6),
        "rope_theta": float(raw.get("rotary_emb_base", 10000)),
        "max_position_embeddings": raw.get("seq_length") or raw["max_position_embeddings"],
        "tie_word_embeddings": bool(raw.get("tie_word_embeddings", False)),
    }


QWEN = LanguageModel(
    "qwen2",
    "Qwen2ForCausalLM",
    translation=Translation(
        name="qwen",
        fields=_fields,
        outer={"transformer.wte": "model.embed_tokens", "transformer.ln_f": "model.norm"},
        layers="transformer.h.",
        parts={
            "ln_1": ("input_layernorm",),
            "ln_2": ("post_attention_layernorm",),
            "attn.c_attn": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
            "attn.c_proj": ("self_attn.o_proj",),
            "mlp.w1": ("mlp.up_proj",),
            "mlp.w2": ("mlp.gate_proj",),
            "mlp.c_proj": ("mlp.down_proj",),
        },
    ),
    tokenizer=QWEN_TOKENIZER,
)


def _style(raw: Mapping[str, Any], generation: Mapping[str, Any]) -> PromptStyle | None:
    """ChatML, except where the authors' generation config says that the model is no chat model."""
    return None if generation.get("chat_format") == "raw" else QWEN_CHATML


TEXT_MODEL = TextModel(
    name="qwen",
    title="Qwen (the first generation)",
    checkpoints=("Qwen/Qwen-1_8B-Chat", "Qwen/Qwen-7B-Chat", "Qwen/Qwen-14B", "Qwen/Qwen-72B"),
    architectures=("QWenLMHeadModel",),
    language_model=QWEN,
    style=_style,
    limits="the context ends at the trained `seq_length`; no GPTQ checkpoints",
    proof="tests/families/test_legacy_lms.py",
)
