"""Ferret, as Apple published it: a delta over Vicuna."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.families import tiny
from tests.families.checkpoints.base import TOWER_WIDTH, WIDTH, llava_config, small_llama

__all__ = ["BUILDERS"]


def ferret(folder: Path) -> None:
    """A delta with a sampler of regions, one row more for its token, and the tower in a folder."""
    tiny.clip_tower(folder / "vision_tower", 461)
    base = folder.parent / "vicuna-tiny-v1-3"
    base.mkdir()
    plain, below = small_llama(462)
    plain.save_pretrained(base)
    tiny.save_safetensors(base, below)
    tiny.llama_tokenizer(base, legacy=None)
    config, state = small_llama(463, vocabulary=641)
    for name, value in below.items():
        state[name][: len(value)] -= value
    state["model.mm_projector.weight"] = tiny.draw((WIDTH, TOWER_WIDTH), 464, TOWER_WIDTH**-0.5)
    state["model.mm_projector.bias"] = tiny.draw((WIDTH,), 465, 0.1)
    for name in ("flatten_projector", "agg_projector_list.0.norm"):
        state[f"model.region_geo_sampler.{name}.weight"] = tiny.draw((3, 3), 466)
    tiny.save_bin(folder, state)
    flat = llava_config(config, "openai/clip-vit-large-patch14-336", mm_projector_type=None)
    flat.update(
        _name_or_path="./model/vicuna-tiny-v1-3",
        architectures=["FERRETLlamaForCausalLM"],
        im_region_fea_token=640,
        image_aspect_ratio="square_nocrop",
        model_type="ferret",
        region_geo_sampler=True,
        sampler_pooler_mode="max",
    )
    tiny.write_json(folder / "config.json", flat)
    tiny.llama_tokenizer(folder, legacy=None)


BUILDERS: dict[str, Callable[[Path], None]] = {"ferret-tiny-delta": ferret}
