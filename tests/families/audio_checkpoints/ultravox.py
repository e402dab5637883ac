"""Ultravox as version 0.5 publishes it, with its encoder and language model inside."""

from __future__ import annotations

from pathlib import Path

from tests.families.audio_checkpoints.parts import TEXT, ids, tokenizer
from tests.families.tiny import draw_shapes, draw_weights, save_safetensors, write_json

__all__ = ["build"]

# Llama 3's, which takes a turn's content as text.
TEMPLATE = (
    "{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
WIDTH, STACKED, HIDDEN = 64, 8, 96


def build(folder: Path) -> None:
    """Without a word list of its own for sounds: `<|audio|>` is no token."""
    from transformers import LlamaConfig, LlamaForCausalLM, WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    names = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|reserved|>")
    words = tokenizer(folder, *names)
    words.chat_template = TEMPLATE
    words.save_pretrained(folder)
    audio = {
        "model_type": "whisper",
        "d_model": WIDTH,
        "encoder_layers": 2,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 96,
        "num_mel_bins": 80,
    }
    text = {"model_type": "llama", **TEXT}
    encoder = draw_weights(WhisperEncoder(WhisperConfig(**audio)), 51)
    language = draw_weights(LlamaForCausalLM(LlamaConfig(**text)), 52)
    shapes = {
        "ln_pre.weight": (WIDTH * STACKED,),
        "linear_1.weight": (HIDDEN, WIDTH * STACKED),
        "ln_mid.weight": (HIDDEN // 2,),
        "linear_2.weight": (TEXT["hidden_size"], HIDDEN // 2),
    }
    parts = {
        "audio_tower.": encoder,
        "language_model.": language,
        "multi_modal_projector.": draw_shapes(shapes, 53),
    }
    state = {start + name: value for start, part in parts.items() for name, value in part.items()}
    save_safetensors(folder, state)
    config = {
        "architectures": ["UltravoxModel"],
        "model_type": "ultravox",
        "audio_config": audio,
        "text_config": text,
        "audio_token_index": ids(words, "<|reserved|>")[0],
        "hidden_size": HIDDEN,
        "stack_factor": STACKED,
        "projector_act": "swiglu",
        "projector_ln_mid": True,
        "vocab_size": TEXT["vocab_size"],
        "torch_dtype": "float32",
    }
    write_json(folder / "config.json", config)
