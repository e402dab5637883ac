"""Valley."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.families import tiny
from tests.families.checkpoints.base import (
    TOWER_WIDTH,
    WIDTH,
    llava_config,
    small_llama,
    trained_tower,
)

__all__ = ["BUILDERS"]

# As `initialize_vision_tokenizer` adds them, after the padding token of training.
_TOKENS = ("[PAD]", "<im_patch>", "<vi_frame>", "<im_start>", "<im_end>", "<vi_start>", "<vi_end>")


def valley(folder: Path) -> None:
    """The layout of luoruipu1/Valley2-7b: the tower inside, under one prefix, and trained tokens.

    The vocabulary has a row that no token has.
    """
    vision = tiny.clip_tower(folder.parent / "clip-tiny-valley", 501)
    config, state = small_llama(502, vocabulary=648)
    # With features of this size the answers depend on them.
    scale = 3 / TOWER_WIDTH**0.5
    state["model.mm_projector.weight"] = tiny.draw((WIDTH, TOWER_WIDTH), 503, scale)
    state["model.mm_projector.bias"] = tiny.draw((WIDTH,), 504, 0.1)
    for name, value in trained_tower(vision, 505).items():
        state[f"model.vision_tower.{name}"] = value
    tiny.save_bin(folder, state)
    absent = dict.fromkeys(("mm_projector_type", "image_aspect_ratio", "mm_vision_select_feature"))
    flat = llava_config(
        config,
        "openai/clip-tiny-valley",
        **absent,
        architectures=["ValleyLlamaForCausalLM"],
        model_type="valley",
        mm_use_im_start_end=True,
        use_patch_importance_pooling=False,
    )
    tiny.write_json(folder / "config.json", flat)
    tiny.llama_tokenizer(folder, legacy=False)
    added = {token: 640 + index for index, token in enumerate(_TOKENS)}
    tiny.write_json(folder / "added_tokens.json", added)


BUILDERS: dict[str, Callable[[Path], None]] = {"valley": valley}
