"""ConvLLaVA."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.families import tiny
from tests.families.checkpoints.base import (
    TOWER_WIDTH,
    State,
    llava_config,
    mlp_projector,
    small_llama,
)

__all__ = ["BUILDERS", "convnext_tower"]


def convnext_tower(tower: Path, seed: int) -> State:
    """A ConvNeXt of five stages; its tensors, and in its folder only the configs."""
    from transformers import ConvNextConfig, ConvNextModel

    tower.mkdir()
    config = ConvNextConfig(
        depths=[1, 1, 2, 1, 1],
        hidden_sizes=[8, 16, 24, 32, TOWER_WIDTH],
        num_stages=5,
        image_size=192,
        layer_norm_eps=1e-12,
        drop_path_rate=0.0,
        out_features=["stage5"],
    )
    config.save_pretrained(tower)
    tiny.write_json(
        tower / "preprocessor_config.json",
        {
            **tiny.CLIP_PREPROCESSING,
            "size": {"shortest_edge": 192},
            "crop_size": {"height": 192, "width": 192},
        },
    )
    return tiny.draw_weights(ConvNextModel(config), seed)


def convllava(folder: Path) -> None:
    """The tower inside, trained."""
    vision = convnext_tower(folder.parent / "convnext-tiny-401", 402)
    llama, state = small_llama(403)
    tiny.save_bin(folder, {**state, **mlp_projector(404), **tiny.image_tensors(vision)})
    changes = {
        "mm_vision_select_layer": -1,
        "mm_vision_resolution": 256,
        "tune_vision_tower": True,
        "vision_add_five_stage": 0,
    }
    flat = llava_config(llama, "ConvLLaVA/convnext-tiny-401", **changes)
    tiny.write_json(folder / "config.json", flat)
    tiny.llama_tokenizer(folder, legacy=False)


BUILDERS: dict[str, Callable[[Path], None]] = {"convllava": convllava}
