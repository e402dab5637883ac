"""Qwen2-Audio."""

from __future__ import annotations

from pathlib import Path

from tests.families.audio_checkpoints.parts import CHAT_ML, TEXT, ids, save_model, tokenizer
from tests.families.native_parts import QWEN2_AUDIO_TOWER

__all__ = ["PUBLISHED", "build"]

PUBLISHED = {
    "model.language_model.": "language_model.model.",
    "lm_head.": "language_model.lm_head.",
    "model.": "",
}


def build(folder: Path) -> None:
    """With the conversation format of transformers' processor, which is the published one."""
    from transformers import Qwen2AudioConfig, Qwen2AudioProcessor, WhisperFeatureExtractor

    names = ("<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>")
    words = tokenizer(folder, *names, *CHAT_ML)
    [audio] = ids(words, "<|AUDIO|>")
    config = Qwen2AudioConfig(
        audio_config=QWEN2_AUDIO_TOWER,
        text_config={"model_type": "qwen2", **TEXT},
        audio_token_index=audio,
        architectures=["Qwen2AudioForConditionalGeneration"],
    )
    save_model(folder, "Qwen2AudioForConditionalGeneration", config, 31, PUBLISHED)
    Qwen2AudioProcessor(WhisperFeatureExtractor(feature_size=80), words).save_pretrained(folder)
