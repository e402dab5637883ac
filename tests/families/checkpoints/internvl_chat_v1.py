"""InternVL-Chat V1.0."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.families import tiny
from tests.families.checkpoints.base import llava_config, mlp_projector, small_llama
from tests.families.checkpoints.vila import INTERN_VIT, intern_tensors

__all__ = ["BUILDERS"]


def internvl_chat_v1(folder: Path) -> None:
    """A tower of 56 pixels in its own folder, which the authors' code shows 336."""
    tower = folder.parent / "InternViT-6B-tiny"
    tower.mkdir()
    tiny.save_safetensors(tower, intern_tensors(601))
    tiny.write_json(tower / "config.json", INTERN_VIT)
    config, state = small_llama(602)
    tiny.save_bin(folder, {**state, **mlp_projector(603)})
    changes = {"mm_vision_tower": "./pretrained/InternViT-6B-tiny", "mm_vision_select_layer": -3}
    tiny.write_json(folder / "config.json", llava_config(config, "", **changes))
    tiny.llama_tokenizer(folder, legacy=False)


BUILDERS: dict[str, Callable[[Path], None]] = {"internvl-chat-v1": internvl_chat_v1}
