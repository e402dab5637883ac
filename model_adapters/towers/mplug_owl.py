"""mPLUG-Owl2's tower: CLIP's ViT-L at 448 pixels, under names of its own."""

from __future__ import annotations

import re

from sensorium.model_adapters.towers.kind import TowerKind
from sensorium.model_adapters.towers.vit import CLIP_MEAN, CLIP_STD

__all__ = ["MPLUG_OWL"]

MPLUG_OWL = TowerKind(
    "mplug-owl",
    build="sensorium.model_adapters.engine.towers.mplug_owl:MplugOwlTower",
    config_type="",
    mean=CLIP_MEAN,
    std=CLIP_STD,
    # The defaults of the authors' config class.
    defaults={
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": 448,
        "patch_size": 14,
        "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-6,
    },
    layer=re.compile(r"^encoder\.layers\.(\d+)\."),
    patch_embedding="embeddings.patch_embed",
)
