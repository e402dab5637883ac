"""What the builders share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.families.tiny import draw_weights, qwen_tokenizer, save_safetensors

if TYPE_CHECKING:
    import torch

__all__ = ["CHAT_ML", "TEXT", "ids", "save_model", "tokenizer"]

TEXT = {
    "vocab_size": 640,
    "hidden_size": 128,
    "intermediate_size": 192,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
}
CHAT_ML = ("<|im_start|>", "<|im_end|>")


def tokenizer(folder: Path, *special: str, **roles: str) -> Any:
    """A tokenizer of 600 tokens and the `special` ones; `roles` name more (`audio_token`)."""
    from transformers import AutoTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    qwen_tokenizer(folder)
    found = AutoTokenizer.from_pretrained(folder, extra_special_tokens=roles)
    found.add_special_tokens({"additional_special_tokens": [*special]})
    return found


def ids(tokenizer: Any, *names: str) -> list[int]:
    """Of tokens that must be in the vocabulary."""
    found = [tokenizer.convert_tokens_to_ids(name) for name in names]
    assert None not in found
    return found


def save_model(
    folder: Path, kind: str, config: Any, seed: int, published: Mapping[str, str | None]
) -> dict[str, torch.Tensor]:
    """Draw the weights of transformers' class `kind`, write and return them as `published`.

    `published` maps the beginnings of transformers' names to those of the checkpoints on the hub;
    the first that fits counts, and None leaves out what is tied to another. (`save_pretrained` of
    transformers 5 writes other names.)
    """
    import transformers

    config.save_pretrained(folder)
    state = draw_weights(getattr(transformers, kind)(config), seed)
    renamed = {}
    for name, value in state.items():
        ours = next(start for start in published if name.startswith(start))
        if (theirs := published[ours]) is not None:
            renamed[theirs + name.removeprefix(ours)] = value
    save_safetensors(folder, renamed)
    return renamed
