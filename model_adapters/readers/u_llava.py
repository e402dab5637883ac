"""u-LLaVA's config, which holds that of its core: a Llama's with the tower's inside.

Facts: OPPOMKLab/u-LLaVA, models/ullava.py (`UllavaConfig`), models/ullava_core.py.
"""

from __future__ import annotations

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.spec import RawConfig

__all__ = ["read_u_llava"]

_PROJECTORS = {"mlp": "linear", "mlp2x": "mlp2x_gelu"}
_NOT_LLAMA = ("vision_config", "mm_token_ids", "projector_type", "projector_from_scratch")


def read_u_llava(raw: RawConfig) -> RawConfig:
    """LLaVA's keys; raises CheckpointError for a projector that is not known."""
    core = raw["llm_config"]
    projector = core.get("projector_type", "mlp")
    if projector not in _PROJECTORS:
        raise CheckpointError(
            f"the config's `projector_type` is {projector!r}; u-LLaVA is served with "
            f"{', '.join(_PROJECTORS)}"
        )
    return {
        **{key: value for key, value in core.items() if key not in _NOT_LLAMA},
        "architectures": ["UllavaCoreForCausalLM"],
        "torch_dtype": raw.get("torch_dtype") or core.get("torch_dtype"),
        "mm_vision_config": {**core["vision_config"], "kind": "clip"},
        "mm_vision_select_layer": core["vision_hidden_layer"],
        "mm_projector_type": _PROJECTORS[projector],
    }
