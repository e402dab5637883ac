"""DeepSeek-VL 7B: two towers, side by side, and a projector with a first layer for each.

Facts: as DeepSeek-VL 1.3B's. The 7B models' image processor pads and scales only (the towers
normalise for themselves), with the mean colour of the high-resolution tower.
"""

from __future__ import annotations

from dataclasses import replace

from sensorium.model_adapters.families import deepseek_vl
from sensorium.model_adapters.readers.deepseek_vl import two_towers
from sensorium.model_adapters.spec import Tower

__all__ = ["SPEC"]

SPEC = replace(
    deepseek_vl.SPEC,
    name="deepseek-vl-hybrid",
    title="DeepSeek-VL 7B",
    checkpoints=("deepseek-ai/deepseek-vl-7b-chat", "deepseek-ai/deepseek-vl-7b-base"),
    tower=Tower(kinds=("sam-siglip",), select_layer=-1, keep_class_token=True),
    projectors=("split_mlp",),
    weights=(
        ("vision_model.", "vision_tower."),
        ("aligner.", "projector."),
        ("language_model.", "language_model."),
    ),
    read=two_towers,
)
