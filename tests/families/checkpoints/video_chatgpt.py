"""Video-ChatGPT, as published: some tensors over a LLaVA."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from tests.families import tiny
from tests.families.checkpoints.base import TOWER_WIDTH, WIDTH, llava_config, small_llama

__all__ = ["BUILDERS"]
_LLAVA_TOKENS = ("<im_patch>", "<im_start>", "<im_end>")


def video_chatgpt(folder: Path) -> None:
    """A projector and embeddings with three rows more than the LLaVA v1.1 beside them."""
    tiny.clip_tower(folder.parent / "clip-tiny-vcgpt", 511)
    base = folder.parent / "LLaVA-tiny-Lightening-v1-1"
    base.mkdir()
    config, below = small_llama(512, vocabulary=640 + len(_LLAVA_TOKENS))
    scale = 2 * TOWER_WIDTH**-0.5
    for seed, state in ((513, below), (515, own := {})):
        state["model.mm_projector.weight"] = tiny.draw((WIDTH, TOWER_WIDTH), seed, scale)
        state["model.mm_projector.bias"] = tiny.draw((WIDTH,), seed + 1, 0.3)
    tiny.save_bin(base, below)
    absent = dict.fromkeys(("mm_projector_type", "image_aspect_ratio", "mm_vision_select_feature"))
    flat = llava_config(config, "openai/clip-tiny-vcgpt", mm_use_im_start_end=True, **absent)
    tiny.llama_tokenizer(base, legacy=None)
    tiny.write_json(base / "added_tokens.json", {t: 640 + n for n, t in enumerate(_LLAVA_TOKENS)})
    rows = below["model.embed_tokens.weight"]
    own["model.embed_tokens.weight"] = torch.cat([rows, tiny.draw((3, WIDTH), 517, 0.1)])
    torch.save(own, folder / "video_chatgpt-7B.bin")
    tiny.write_json(base / "config.json", flat)
    tiny.write_json(
        folder / "config.json", {**flat, "_name_or_path": "mmaaz60/LLaVA-tiny-Lightening-v1-1"}
    )


BUILDERS: dict[str, Callable[[Path], None]] = {"video-chatgpt": video_chatgpt}
