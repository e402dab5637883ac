"""Tiny checkpoints of Qwen-VL's models, in Hugging Face's layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.families.native_parts import TEXT, ids, tokenizer_with

__all__ = ["qwen2_5_vl", "qwen2_vl", "qwen3_vl"]

# What the config calls the tokens.
MARKS = {
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
}
ROPE = {"rope_type": "default", "mrope_section": [4, 6, 6], "rope_theta": 10000.0}


def qwen2_vl(folder: Path) -> None:
    """Qwen2-VL."""
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer, marks = _tokenizer(folder)
    Qwen2VLConfig(
        text_config={
            "model_type": "qwen2_vl_text",
            **TEXT,
            "rope_parameters": ROPE,
        },
        vision_config={
            "depth": 2,
            "embed_dim": 48,
            "hidden_size": 128,
            "num_heads": 2,
            "mlp_ratio": 2,
            "patch_size": 14,
        },
        **marks,
        architectures=["Qwen2VLForConditionalGeneration"],
    ).save_pretrained(folder)
    pixels = {"shortest_edge": 28 * 28, "longest_edge": 28 * 28 * 36}
    Qwen2VLProcessor(
        Qwen2VLImageProcessor(size=pixels),
        tokenizer,
        Qwen2VLVideoProcessor(size=pixels),
        chat_template=tokenizer.chat_template,
    ).save_pretrained(folder)


def qwen2_5_vl(folder: Path) -> None:
    """Qwen2.5-VL."""
    from transformers import Qwen2_5_VLConfig

    qwen2_vl(folder)  # the processor, the tokenizer and the special tokens are the same
    before = json.loads((folder / "config.json").read_text())
    Qwen2_5_VLConfig(
        text_config={
            **before["text_config"],
            "model_type": "qwen2_5_vl_text",
        },
        vision_config={
            "depth": 2,
            "hidden_size": 48,
            "out_hidden_size": 128,
            "intermediate_size": 96,
            "num_heads": 2,
            "patch_size": 14,
            "window_size": 56,
            "fullatt_block_indexes": [1],
        },
        **{name: before[name] for name in MARKS},
        architectures=["Qwen2_5_VLForConditionalGeneration"],
    ).save_pretrained(folder)


def qwen3_vl(folder: Path) -> None:
    """Qwen3-VL."""
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    tokenizer, marks = _tokenizer(folder)
    Qwen3VLConfig(
        text_config={**TEXT, "head_dim": 32, "rope_parameters": ROPE},
        vision_config={
            "depth": 2,
            "hidden_size": 48,
            "intermediate_size": 96,
            "num_heads": 2,
            "patch_size": 16,
            "out_hidden_size": 128,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        **marks,
        architectures=["Qwen3VLForConditionalGeneration"],
    ).save_pretrained(folder)
    pixels = {"shortest_edge": 32 * 32, "longest_edge": 32 * 32 * 36}
    normal = {"patch_size": 16, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    Qwen3VLProcessor(
        Qwen2VLImageProcessor(size=pixels, **normal),
        tokenizer,
        Qwen3VLVideoProcessor(size=pixels, **normal),
        chat_template=tokenizer.chat_template,
    ).save_pretrained(folder)


def _tokenizer(folder: Path) -> tuple[Any, dict[str, int]]:
    """A tokenizer with the tokens around media, and their numbers by the config's names."""
    names = list(MARKS.values())
    tokenizer = tokenizer_with(folder, names, "<|vision_start|><|image_pad|><|vision_end|>")
    return tokenizer, dict(zip(MARKS, ids(tokenizer, *names), strict=True))
