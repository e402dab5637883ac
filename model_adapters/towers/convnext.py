"""ConvNeXt, as transformers publishes it; the whole of it counts as one layer.

Facts: alibaba/conv-llava, llava/model/multimodal_encoder/convnext_encoder.py (the last stage's
output, without the norm after it).
"""

from __future__ import annotations

import re

from sensorium.model_adapters.towers.kind import TowerKind
from sensorium.model_adapters.towers.vit import CLIP_MEAN, CLIP_STD

__all__ = ["CONVNEXT"]

CONVNEXT = TowerKind(
    "convnext",
    build="sensorium.model_adapters.engine.towers.convnext:ConvNextTower",
    config_type="convnext",
    mean=CLIP_MEAN,
    std=CLIP_STD,
    has_class_token=False,
    owner="facebook",
    # Those of transformers' config class.
    defaults={
        "depths": [3, 3, 9, 3],
        "hidden_sizes": [96, 192, 384, 768],
        "num_stages": 4,
        "num_hidden_layers": 1,
        "image_size": 224,
        "patch_size": 4,
    },
    unused=re.compile(r"^layernorm\."),
    patch_embedding="embeddings.patch_embeddings",
    any_size=True,
)
