"""mPLUG-Owl2's config: a Llama's, with the two visual parts inside.

Facts: X-PLUG/mPLUG-Owl, mPLUG-Owl2/mplug_owl2/model/configuration_mplug_owl2.py.
"""

from __future__ import annotations

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.spec import RawConfig

__all__ = ["read_mplug_owl2"]

_ABSTRACTOR = {
    "num_learnable_queries": 64,
    "hidden_size": 1024,
    "num_hidden_layers": 6,
    "num_attention_heads": 16,
    "intermediate_size": 2816,
    "layer_norm_eps": 1e-6,
    "grid_size": None,
}
_TOWER = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size",
    "patch_size", "hidden_act", "layer_norm_eps",
)  # fmt: skip
# What the parts are served with, and what their config classes assume.
_SERVED = {
    "visual_model": {"use_cls_token": True, "use_post_layernorm": True},
    "visual_abstractor": {"use_cls_token": True, "add_v2t_pos_emb": False},
}


def read_mplug_owl2(raw: RawConfig) -> RawConfig:
    """LLaVA's keys; raises CheckpointError for parts that are made otherwise (mPLUG-Owl2.1's)."""
    visual = raw.get("visual_config") or {}
    for part, wanted in _SERVED.items():
        for key, value in wanted.items():
            if visual.get(part, {}).get(key, value) != value:
                raise CheckpointError(
                    f"the config's `visual_config` has `{part}` with `{key}: "
                    f"{visual[part][key]!r}`; mPLUG-Owl2 is served with {value!r}"
                )
    tower = visual.get("visual_model", {})
    given = visual.get("visual_abstractor", {})
    abstractor = {key: given.get(key, value) for key, value in _ABSTRACTOR.items()}
    abstractor["grid_size"] = abstractor["grid_size"] or 32
    return {
        **{key: value for key, value in raw.items() if key != "visual_config"},
        "mm_vision_config": {
            "kind": "mplug-owl",
            **{key: tower[key] for key in _TOWER if key in tower},
        },
        "mm_projector_type": "abstractor",
        "mm_projector_config": abstractor,
        "image_aspect_ratio": "square",
    }
