"""What the tiny folders of vLLM's own families share: sizes, tokenizer, chat format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.families.tiny import qwen_tokenizer

__all__ = ["QWEN2_AUDIO_TOWER", "TEXT", "VISION", "ids", "tokenizer_with"]

TEXT = {
    "vocab_size": 768,
    "hidden_size": 128,
    "intermediate_size": 192,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}
QWEN2_AUDIO_TOWER = {
    "d_model": 48,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 96,
    "num_mel_bins": 80,
    "max_source_positions": 1500,
}
VISION = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 56,
    "patch_size": 14,
}
CHAT = (
    "{% for m in messages %}{% for c in m['content'] %}"
    "{% if c['type'] == 'text' %}{{ c['text'] }}{% else %}MARK{% endif %}"
    "{% endfor %}{% endfor %} ASSISTANT:"
)


def tokenizer_with(folder: Path, specials: list[str], mark: str) -> Any:
    """A tokenizer with `specials` added and a chat format that writes `mark` for media."""
    from transformers import AutoTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    qwen_tokenizer(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": specials})
    tokenizer.chat_template = CHAT.replace("MARK", mark)
    return tokenizer


def ids(tokenizer: Any, *names: str) -> list[int]:
    """The ids of tokens."""
    return [tokenizer.convert_tokens_to_ids(name) for name in names]
