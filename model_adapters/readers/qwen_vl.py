"""Qwen-VL's config: Qwen's, with the tower's in `visual`.

Facts: Qwen/Qwen-VL, config.json and visual.py.
"""

from __future__ import annotations

from sensorium.model_adapters.spec import RawConfig

__all__ = ["read_qwen_vl"]

_QUERIES = 256


def read_qwen_vl(raw: RawConfig) -> RawConfig:
    """LLaVA's keys; the language model's stay as Qwen writes them."""
    visual = raw["visual"]
    return {
        **{key: value for key, value in raw.items() if key != "visual"},
        "mm_vision_config": {
            "kind": "qwen-vl",
            "hidden_size": visual["width"],
            "intermediate_size": int(visual["width"] * visual["mlp_ratio"]),
            "num_hidden_layers": visual["layers"],
            "num_attention_heads": visual["heads"],
            "image_size": visual["image_size"],
            "patch_size": visual["patch_size"],
        },
        "mm_projector_type": "resampler",
        "mm_projector_config": {"n_queries": visual.get("n_queries", _QUERIES)},
        "image_aspect_ratio": "square",
    }
