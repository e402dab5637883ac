"""SigLIP under timm's names, as DeepSeek-VL and moondream publish it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sensorium.model_adapters.towers.kind import Shapes, TowerKind

__all__ = ["TIMM_LINEAR", "TIMM_SIGLIP", "measure_timm"]

_BLOCK = re.compile(r"blocks\.(\d+)\.")


def measure_timm(config: Mapping[str, Any], shapes: Shapes) -> dict[str, Any]:
    """The config with widths and depth as the tensors have them.

    The authors' code fixes these sizes, so configs do not say them.
    """
    found = dict(config)
    for name in ("patch_embed.proj.weight", "patch_embed.linear.weight"):
        if name in shapes:
            found["hidden_size"] = shapes[name][0]
    if "blocks.0.mlp.fc1.weight" in shapes:
        found["intermediate_size"] = shapes["blocks.0.mlp.fc1.weight"][0]
    blocks = {int(block[1]) for block in map(_BLOCK.match, shapes) if block}
    if blocks:
        found["num_hidden_layers"] = max(blocks) + 1
    return found


def _measure_linear(config: Mapping[str, Any], shapes: Shapes) -> dict[str, Any]:
    """The same for linear patches, with the picture's size by the table of positions."""
    found = measure_timm(config, shapes)
    if "pos_embed" in shapes:
        found["image_size"] = math.isqrt(shapes["pos_embed"][1]) * found["patch_size"]
    return found


TIMM_SIGLIP = TowerKind(
    "timm-siglip",
    build="sensorium.model_adapters.engine.towers.timm:TimmTower",
    config_type="",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    resize="squash",
    has_class_token=False,
    # SigLIP-L at 384 pixels; `linear_patches` for a linear layer over the pixels of a patch.
    defaults={
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": 384,
        "patch_size": 16,
        "layer_norm_eps": 1e-6,
        "hidden_act": "gelu",
        "linear_patches": False,
    },
    unused=re.compile(r"^attn_pool\."),
    layer=re.compile(r"^blocks\.(\d+)\."),
    patch_embedding="patch_embed.proj",
    measure=measure_timm,
)
# SigLIP-so400m at 378 pixels, with a linear layer over each patch.
TIMM_LINEAR = replace(
    TIMM_SIGLIP,
    name="timm-linear",
    defaults={
        **TIMM_SIGLIP.defaults,
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
        "image_size": 378,
        "patch_size": 14,
        "linear_patches": True,
    },
    patch_embedding="",
    measure=_measure_linear,
)
