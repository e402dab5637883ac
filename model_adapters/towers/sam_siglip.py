"""DeepSeek-VL 7B's pair of towers: SAM-B for detail, SigLIP-L for the whole.

Facts: deepseek-ai/DeepSeek-VL, deepseek_vl/models/clip_encoder.py (`HybridVisionTower`: the layer
norms after the towers are never applied), deepseek_vl/models/sam.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sensorium.model_adapters.towers.kind import Shapes, TowerKind
from sensorium.model_adapters.towers.timm import TIMM_SIGLIP, measure_timm
from sensorium.model_adapters.towers.vit import CLIP_MEAN, CLIP_STD

__all__ = ["SAM_SIGLIP"]

_HIGH, _LOW = "vision_tower_high.vision_tower.", "vision_tower_low.vision_tower."


def _measure(config: Mapping[str, Any], shapes: Shapes) -> dict[str, Any]:
    def below(prefix: str) -> Shapes:
        return {
            name.removeprefix(prefix): shape
            for name, shape in shapes.items()
            if name.startswith(prefix)
        }

    high = measure_timm(config, below(_HIGH))
    high.pop("intermediate_size", None)  # SAM's feed-forward layers are named in another way
    if f"{_HIGH}neck.0.weight" in shapes:
        high["neck"] = shapes[f"{_HIGH}neck.0.weight"][0]
    downsamples = [f"{_HIGH}downsamples.{index}.weight" for index in range(2)]
    if all(name in shapes for name in downsamples):
        high["downsamples"] = [shapes[name][0] for name in downsamples]
    return {**high, "low": measure_timm(config["low"], below(_LOW))}


SAM_SIGLIP = TowerKind(
    "sam-siglip",
    build="sensorium.model_adapters.engine.towers.sam_siglip:SamSiglipTower",
    config_type="",
    # SAM's; SigLIP's picture is made of SAM's, within the tower.
    mean=CLIP_MEAN,
    std=CLIP_STD,
    resize="squash",
    has_class_token=False,
    # `grid` is what the authors' code makes of any picture: 96x96 halved twice.
    defaults={
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "image_size": 1024,
        "patch_size": 16,
        "window_size": 14,
        "global_blocks": [2, 5, 8, 11],
        "neck": 256,
        "downsamples": [512, 1024],
        "grid": 24,
        "low": TIMM_SIGLIP.defaults,
    },
    unused=re.compile(r"^(high|low)_layer_norm\.|^vision_tower_low\.vision_tower\.attn_pool\."),
    measure=_measure,
)
