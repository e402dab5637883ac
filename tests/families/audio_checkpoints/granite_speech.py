"""Granite Speech without the LoRA of its sounds."""

from __future__ import annotations

from pathlib import Path

from tests.families.audio_checkpoints.parts import TEXT, ids, save_model, tokenizer

__all__ = ["build"]

TEMPLATE = (
    "{% for m in messages %}<|start_of_role|>{{ m['role'] }}<|end_of_role|>"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}"
    "{% else %}<|audio|>{% endif %}{% endfor %}{% endif %}<|end_of_text|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start_of_role|>assistant<|end_of_role|>{% endif %}"
)
WIDTH = 64


def build(folder: Path) -> None:
    """Every part of the published models, small."""
    from transformers import GraniteSpeechConfig, GraniteSpeechProcessor
    from transformers.models.granite_speech.feature_extraction_granite_speech import (
        GraniteSpeechFeatureExtractor,
    )

    # Importing it lets transformers' extractor do without torchaudio.
    import sensorium.model_adapters.engine.native.granite_speech  # noqa: F401

    names = ("<|audio|>", "<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>")
    words = tokenizer(folder, *names)
    words.chat_template = TEMPLATE
    config = GraniteSpeechConfig(
        text_config={
            "model_type": "granite",
            **TEXT,
            "embedding_multiplier": 2.0,
            # transformers 5.19 forgets it in this class, so that it could not be compared.
            "logits_scaling": 1.0,
            "tie_word_embeddings": False,
        },
        encoder_config={
            "num_layers": 2,
            "hidden_dim": WIDTH,
            "num_heads": 2,
            "feedforward_mult": 2,
            "output_dim": 24,
        },
        projector_config={
            "model_type": "blip_2_qformer",
            "hidden_size": WIDTH,
            "encoder_hidden_size": WIDTH,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "cross_attention_frequency": 1,
        },
        audio_token_index=ids(words, "<|audio|>")[0],
        has_lora_adapter=False,
        tie_word_embeddings=False,
        architectures=["GraniteSpeechForConditionalGeneration"],
    )
    save_model(folder, "GraniteSpeechForConditionalGeneration", config, 71, PUBLISHED)
    GraniteSpeechProcessor(
        GraniteSpeechFeatureExtractor(), words, chat_template=TEMPLATE
    ).save_pretrained(folder)


PUBLISHED = {
    "model.language_model.": "language_model.model.",
    "lm_head.": "language_model.lm_head.",
    "model.": "",
    "": "",
}
