"""Gemma 3n, whose vision tower is one of timm's smallest."""

from __future__ import annotations

from pathlib import Path

from tests.families.audio_checkpoints.parts import TEXT, save_model
from tests.families.tiny import qwen_tokenizer

__all__ = ["build"]

# The published template, without pictures.
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>"
    "{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] | trim }}{% else %}"
    "{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] | trim }}"
    "{% else %}<audio_soft_token>{% endif %}{% endfor %}{% endif %}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
LINES = ("\n", "\n\n", "\n\n\n", "\n\n\n\n")
TURNS = ("<bos>", "<start_of_turn>", "<end_of_turn>")
# In the order of the published vocabulary: from the ends on, texts have no embedding of their own.
ROLES = {
    "boi_token": "<start_of_image>",
    "boa_token": "<start_of_audio>",
    "eoi_token": "<end_of_image>",
    "image_token": "<image_soft_token>",
    "eoa_token": "<end_of_audio>",
    "audio_token": "<audio_soft_token>",
}


def build(folder: Path) -> None:
    """Two layers with keys of their own, two that share them, as in the published models."""
    from transformers import (
        AutoTokenizer,
        Gemma3nAudioFeatureExtractor,
        Gemma3nConfig,
        Gemma3nProcessor,
        SiglipImageProcessor,
    )

    folder.mkdir(parents=True)
    qwen_tokenizer(folder, special=(*TURNS, *LINES))
    words = AutoTokenizer.from_pretrained(folder, extra_special_tokens=ROLES)
    words.bos_token, words.chat_template = "<bos>", TEMPLATE
    found = {role: words.convert_tokens_to_ids(name) for role, name in ROLES.items()}
    pictures, sounds = found["eoi_token"], found["eoa_token"]
    config = Gemma3nConfig(
        text_config={
            **TEXT,
            "head_dim": 32,
            "num_hidden_layers": 4,
            "num_kv_shared_layers": 2,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
            "activation_sparsity_pattern": [0.5, 0.0, 0.5, 0.0],
            "sliding_window": 64,
            "laurel_rank": 8,
            "vocab_size_per_layer_input": pictures,
            "hidden_size_per_layer_input": 16,
        },
        audio_config={
            "hidden_size": 64,
            "conf_num_hidden_layers": 2,
            "conf_num_attention_heads": 2,
            "sscp_conv_channel_size": [16, 8],
            "vocab_size": TEXT["vocab_size"] - sounds,
            "vocab_offset": sounds,
        },
        vision_config={
            "architecture": "test_vit",
            "hidden_size": 64,
            "vocab_size": sounds - pictures,
            "vocab_offset": pictures,
        },
        **{f"{role}_id": number for role, number in found.items()},
        architectures=["Gemma3nForConditionalGeneration"],
    )
    save_model(folder, "Gemma3nForConditionalGeneration", config, 81, {"lm_head.": None, "": ""})
    Gemma3nProcessor(
        Gemma3nAudioFeatureExtractor(), SiglipImageProcessor(), words, chat_template=TEMPLATE
    ).save_pretrained(folder)
