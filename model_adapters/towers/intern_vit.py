"""InternViT-6B, as OpenGVLab publishes it.

Facts: OpenGVLab/InternVL and its copy in NVlabs/VILA, intern/configuration_intern_vit.py.
"""

from __future__ import annotations

import re

from sensorium.model_adapters.towers.kind import TowerKind

__all__ = ["INTERN_VIT"]

INTERN_VIT = TowerKind(
    "intern_vit",
    build="sensorium.model_adapters.engine.towers.intern_vit:InternVitTower",
    config_type="",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    resize="squash",
    owner="OpenGVLab",
    defaults={
        "num_channels": 3,
        "patch_size": 14,
        "image_size": 224,
        "qkv_bias": False,
        "hidden_size": 3200,
        "num_attention_heads": 25,
        "intermediate_size": 12800,
        "qk_normalization": True,
        "num_hidden_layers": 48,
        "hidden_act": "gelu",
        "norm_type": "rms_norm",
        "layer_norm_eps": 1e-6,
        "initializer_factor": 0.1,
    },
    layer=re.compile(r"^encoder\.layers\.(\d+)\."),
    patch_embedding="embeddings.patch_embedding",
)
