"""VILA-1.5's config: the configs of its three sub-folders, and a few keys of LLaVA's.

Facts: NVlabs/VILA at 637d49d, llava/model/configuration_llava.py and llava/model/llava_arch.py.
"""

from __future__ import annotations

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.language_models import LLAMA
from sensorium.model_adapters.readers.parts import language_model_of
from sensorium.model_adapters.spec import RawConfig

__all__ = ["read_vila"]

_KINDS = {
    "clip_vision_model": "clip",
    "siglip_vision_model": "siglip",
    "intern_vit_6b": "intern_vit",
}


def read_vila(raw: RawConfig) -> RawConfig:
    """`LlavaConfig` in LLaVA's flat keys, under the language model's architecture.

    Raises CheckpointError for a part that is written as a name instead of a config, or that is not
    served.
    """
    for key in ("llm_cfg", "vision_tower_cfg", "mm_projector_cfg"):
        if not isinstance(raw[key], dict):
            raise CheckpointError(
                f"the config's `{key}` is {raw[key]!r}; it must hold the config of its sub-folder"
            )
    text, vision = raw["llm_cfg"], raw["vision_tower_cfg"]
    kind = str(vision.get("model_type"))
    if kind not in _KINDS:
        raise CheckpointError(
            f"the config's `vision_tower_cfg` is of `model_type: {kind!r}`; VILA-1.5 is served "
            f"with {', '.join(_KINDS)}"
        )
    return {
        **text,
        "architectures": [language_model_of(text, "llm_cfg", [LLAMA]).architecture],
        "dtype": text.get("dtype") or text.get("torch_dtype"),
        "image_aspect_ratio": raw.get("image_aspect_ratio"),
        "mm_projector_type": raw["mm_projector_cfg"].get("mm_projector_type"),
        "mm_use_im_patch_token": raw.get("mm_use_im_patch_token"),
        "mm_use_im_start_end": raw.get("mm_use_im_start_end"),
        "mm_vision_config": {**vision, "kind": _KINDS[kind]},
        "mm_vision_select_feature": raw.get("mm_vision_select_feature", "patch"),
        "mm_vision_select_layer": raw.get("mm_vision_select_layer", -2),
        **_scales(raw),
    }


def _scales(raw: RawConfig) -> RawConfig:
    """Multi-scale features; pictures are cut into squares of the smallest scale."""
    if not raw.get("s2"):
        return {}
    scales = str(raw["s2_scales"])
    split, smallest = raw.get("s2_max_split_size"), min(int(size) for size in scales.split(","))
    if split != smallest:
        raise CheckpointError(
            f"the config's `s2_max_split_size` is {split!r}; with `s2_scales: {scales!r}` only "
            f"{smallest} is served"
        )
    return {"use_s2": True, "s2_scales": scales}
