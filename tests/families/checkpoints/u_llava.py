"""u-LLaVA."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.families import tiny
from tests.families.checkpoints.base import TOWER_WIDTH, WIDTH, small_llama, trained_tower

__all__ = ["BUILDERS"]
# In the order in which `train_ullava_core.py` and `train_ullava.py` add them.
_TOKENS = (
    "[PAD]",
    "<image_patch>",
    "<video_patch>",
    "<img_beg>",
    "</img_end>",
    "<vid_beg>",
    "</vid_end>",
    "[SEG]",
)


def u_llava(folder: Path) -> None:
    """All of the core below `llm.`, its config inside the config, and SAM's tensors beside it."""
    vision = tiny.clip_tower(folder.parent / "clip-tiny-ullava", 471)
    config, state = small_llama(472, vocabulary=640 + len(_TOKENS))
    state["vision_projector.weight"] = tiny.draw((WIDTH, TOWER_WIDTH), 473, 2 * TOWER_WIDTH**-0.5)
    state["vision_projector.bias"] = tiny.draw((WIDTH,), 474, 0.1)
    for name, value in trained_tower(vision, 475).items():
        state[f"vision_encoder.{name}"] = value
    state = {f"llm.{name}": value for name, value in state.items()}
    for name in ("visual_model.mask_decoder.iou", "text_hidden_fcs.0"):
        state[f"{name}.weight"] = tiny.draw((3, 3), 476)
    tiny.save_bin(folder, state)
    numbers = {name: 640 + number for number, name in enumerate(_TOKENS)}
    core = {
        **config.to_dict(),
        "architectures": ["UllavaCoreForCausalLM"],
        "bos_token_id": 0,
        "eos_token_id": 1,
        "mm_token_ids": {"IMG_START": numbers["<img_beg>"], "IMG_END": numbers["</img_end>"]},
        "model_type": "ullava_core",
        "projector_from_scratch": False,
        "vision_config": {
            "hidden_act": "quick_gelu",
            "hidden_size": TOWER_WIDTH,
            "image_size": 56,
            "intermediate_size": 128,
            "model_type": "clip_vision_model",
            "num_attention_heads": 2,
            "num_hidden_layers": 3,
            "patch_size": 14,
        },
        "vision_hidden_layer": -2,
    }
    whole = {
        "architectures": ["UllavaForCausalLM"],
        "bce_weight": 2.0,
        "llm_config": core,
        "model_type": "ullava",
        "out_dim": 256,
        "seg_token_idx": numbers["[SEG]"],
        "torch_dtype": "float32",
    }
    tiny.write_json(folder / "config.json", whole)
    tiny.llama_tokenizer(folder, legacy=None)
    tiny.write_json(folder / "added_tokens.json", numbers)


BUILDERS: dict[str, Callable[[Path], None]] = {"ullava": u_llava}
