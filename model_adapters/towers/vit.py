"""CLIP and SigLIP, as transformers publishes them."""

from __future__ import annotations

import re

from sensorium.model_adapters.towers.kind import TowerKind

__all__ = ["CLIP", "CLIP_MEAN", "CLIP_STD", "SIGLIP"]

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_SIZES = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
}
_OUTER = ("text_", "visual_", "logit_")
_UNUSED = re.compile(
    r"^(text_model|text_projection|visual_projection|logit_scale|logit_bias)\b|"
    r"vision_model\.(post_layernorm|head)\."
)
_LAYER = re.compile(r"vision_model\.encoder\.layers\.(\d+)\.")
_PATCHES = "vision_model.embeddings.patch_embedding"
_BUILD = "sensorium.model_adapters.engine.towers.vit"

# Defaults are those of transformers' config classes.
CLIP = TowerKind(
    "clip",
    build=f"{_BUILD}:ClipTower",
    config_type="clip_vision_model",
    mean=CLIP_MEAN,
    std=CLIP_STD,
    owner="openai",
    defaults={**_SIZES, "patch_size": 32},
    prefix="vision_model.",
    outer=_OUTER,
    unused=_UNUSED,
    layer=_LAYER,
    patch_embedding=_PATCHES,
)
SIGLIP = TowerKind(
    "siglip",
    build=f"{_BUILD}:SiglipTower",
    config_type="siglip_vision_model",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    resize="squash",
    has_class_token=False,
    owner="google",
    defaults={**_SIZES, "patch_size": 16},
    prefix="vision_model.",
    outer=_OUTER,
    unused=_UNUSED,
    layer=_LAYER,
    patch_embedding=_PATCHES,
)
