"""Qwen-VL's tower: OpenCLIP's ViT-bigG without a class token.

Facts: Qwen/Qwen-VL, visual.py (`VisionTransformer`).
"""

from __future__ import annotations

import re

from sensorium.model_adapters.towers.kind import TowerKind
from sensorium.model_adapters.towers.vit import CLIP_MEAN, CLIP_STD

__all__ = ["QWEN_VL"]

QWEN_VL = TowerKind(
    "qwen-vl",
    build="sensorium.model_adapters.engine.towers.qwen_vl:QwenVlTower",
    config_type="",
    mean=CLIP_MEAN,
    std=CLIP_STD,
    resize="squash",
    has_class_token=False,
    defaults={
        "hidden_size": 1664,
        "intermediate_size": 8192,
        "num_hidden_layers": 48,
        "num_attention_heads": 16,
        "image_size": 448,
        "patch_size": 14,
    },
    layer=re.compile(r"^transformer\.resblocks\.(\d+)\."),
    patch_embedding="conv1",
)
