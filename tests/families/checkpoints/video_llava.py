"""Video-LLaVA."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.families import tiny
from tests.families.checkpoints.base import (
    TOWER_WIDTH,
    State,
    llava_config,
    mlp_projector,
    small_llama,
)

__all__ = ["BUILDERS"]

_SIZES = {
    "hidden_size": TOWER_WIDTH,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "patch_size": 14,
    "hidden_act": "gelu",
    "model_type": "clip_vision_model",
    "lora_r": 0,
}
_FRAMES = 8


def video_llava(folder: Path) -> None:
    """The layout of LanguageBind/Video-LLaVA-7B: both towers inside, and LanguageBind's beside."""
    image = _tower("Image", 601, image_size=56, add_time_attn=False, num_frames=1)
    video = _tower("Video", 611, image_size=42, add_time_attn=True, num_frames=_FRAMES)
    config, state = small_llama(621)
    state |= mlp_projector(631)
    for place, (_, tower) in {"image_tower": image, "video_tower": video}.items():
        for name, value in tower.items():
            if name.startswith("vision_model."):
                inner = name.removeprefix("vision_model.")
                state[f"model.{place}.{place}.{inner}"] = value
    for name, (vision, tower) in {"Image-tiny": image, "Video_merge-tiny": video}.items():
        _publish(folder.parent / f"LanguageBind_{name}", vision, tower)
    tiny.save_bin(folder, state)
    flat = llava_config(
        config,
        "",
        X=["Image", "Video"],
        mm_vision_tower=None,
        mm_image_tower="LanguageBind/LanguageBind_Image-tiny",
        mm_video_tower="LanguageBind/LanguageBind_Video_merge-tiny",
    )
    tiny.write_json(folder / "config.json", flat)
    tiny.llama_tokenizer(folder, legacy=False)


def _tower(kind: str, seed: int, **vision: Any) -> tuple[dict[str, Any], State]:
    """The config and the tensors of a whole LanguageBind model."""
    config = {
        "architectures": [f"LanguageBind{kind}"],
        "model_type": f"LanguageBind{kind}",
        "text_config": {"model_type": "clip_text_model", "hidden_size": 32},
        "vision_config": {**_SIZES, **vision},
    }
    state = tiny.clip_tower(None, seed, image_size=vision["image_size"])
    if vision["add_time_attn"]:
        for layer in range(_SIZES["num_hidden_layers"]):
            state |= _over_time(f"vision_model.encoder.layers.{layer}.", seed + 1 + layer)
    return config, state | {"logit_scale": torch.tensor(4.6), **_text(seed)}


def _over_time(prefix: str, seed: int) -> State:
    width = TOWER_WIDTH
    shapes: dict[str, tuple[int, ...]] = {}
    for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
        shapes[f"temporal_attn.{name}.weight"] = (width, width)
        shapes[f"temporal_attn.{name}.bias"] = (width,)
    shapes |= {f"temporal_layer_norm1.{kind}": (width,) for kind in ("weight", "bias")}
    state = tiny.draw_shapes(shapes, 1000 * seed)
    state["temporal_embedding"] = tiny.draw((1, _FRAMES, width), seed, 0.5)
    return {f"{prefix}{name}": value for name, value in state.items()}


def _text(seed: int) -> State:
    """Parts of the model that the tower was published in."""
    shapes: dict[str, tuple[int, ...]] = {
        "text_model.final_layer_norm.weight": (32,),
        "visual_projection.weight": (32, TOWER_WIDTH),
    }
    return tiny.draw_shapes(shapes, seed)


def _publish(folder: Path, config: dict[str, Any], state: State) -> None:
    folder.mkdir()
    tiny.write_json(folder / "config.json", config)
    torch.save(state, folder / "pytorch_model.bin")


BUILDERS: dict[str, Callable[[Path], None]] = {"video-llava": video_llava}
