"""moondream's configs, which name little: sizes and most of what changed are in the authors' code.

Facts: vikhyat/moondream, moondream/{moondream,vision_encoder,configuration_moondream,modeling_phi}
.py at the commits of its releases. What a config tells: `phi_config` of type "phi-msft" until
2024-03-04, of type "phi" from 2024-03-06 to 2024-04-02, `text_config` from 2024-05-08 on.
"""

from __future__ import annotations

from typing import Any

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.spec import RawConfig, Shapes

__all__ = ["read_april", "read_first", "read_later", "read_march", "refine_later"]

_PHI: dict[str, Any] = {
    "vocab_size": 51200,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 24,
    "num_attention_heads": 32,
    "max_position_embeddings": 2048,
    "hidden_act": "gelu_new",
    "layer_norm_eps": 1e-5,
    "partial_rotary_factor": 0.5,
    "rope_theta": 10000.0,
    # Answers end at the tokenizer's end token, whatever the class that holds these numbers says.
    "bos_token_id": None,
    "eos_token_id": None,
}
# As the first config class calls them.
_MSFT = {
    "n_embd": "hidden_size",
    "n_inner": "intermediate_size",
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_positions": "max_position_embeddings",
    "activation_function": "hidden_act",
    "layer_norm_epsilon": "layer_norm_eps",
}


def read_first(raw: RawConfig) -> RawConfig:
    """moondream1, and moondream2 of 2024-03-04; raises CheckpointError for the next revisions."""
    given = raw["phi_config"]
    if given.get("model_type") != "phi-msft":
        raise CheckpointError(
            "moondream2's revisions 2024-03-06, 2024-03-13 and 2024-04-02 differ in their prompts "
            "and activations but not in their configs: say which it is with --family "
            "moondream2-2024-03-06, moondream2-2024-03-13 or moondream2-2024-04-02"
        )
    phi = _phi({_MSFT.get(key, key): value for key, value in given.items()})
    if given.get("n_inner") is None:
        phi["intermediate_size"] = 4 * phi["hidden_size"]
    if "rotary_dim" in given:
        head = phi["hidden_size"] / phi["num_attention_heads"]
        phi["partial_rotary_factor"] = given["rotary_dim"] / head
    return _flat(raw, phi, tanh=False, eps=1e-6, aspect="square")


def read_march(raw: RawConfig) -> RawConfig:
    """moondream2 of March 2024: a later config, the first activations."""
    return _flat(raw, _phi(raw["phi_config"]), tanh=False, eps=1e-6, aspect="square")


def read_april(raw: RawConfig) -> RawConfig:
    """moondream2 of 2024-04-02: that config still, the later activations."""
    return _flat(raw, _phi(raw["phi_config"]), tanh=True, eps=1e-5, aspect="square")


def read_later(raw: RawConfig) -> RawConfig:
    """moondream2 from 2024-05-08 on; with several views, which 2024-05-20 brought."""
    return _flat(raw, _phi(raw["text_config"]), tanh=True, eps=1e-5, aspect="views")


def refine_later(flat: RawConfig, shapes: Shapes) -> RawConfig:
    """One view where the projector is as wide as the tower (2024-05-08)."""
    projector = shapes.get("vision_encoder.projection.mlp.fc1.weight")
    tower = shapes.get("vision_encoder.encoder.model.visual.norm.weight")
    if projector is None or tower is None or projector[1] != tower[0]:
        return flat
    return {**flat, "image_aspect_ratio": "square"}


def _phi(given: RawConfig) -> dict[str, Any]:
    return {**_PHI, **{key: given[key] for key in _PHI if given.get(key) is not None}}


def _flat(raw: RawConfig, phi: dict[str, Any], *, tanh: bool, eps: float, aspect: str) -> RawConfig:
    return {
        **phi,
        "architectures": raw["architectures"],
        "torch_dtype": raw.get("torch_dtype"),
        "mm_vision_config": {
            "kind": "timm-linear",
            "layer_norm_eps": eps,
            "hidden_act": "gelu_tanh" if tanh else "gelu",
        },
        "mm_projector_type": "moondream",
        "mm_projector_config": {"gelu": "tanh" if tanh else "none"},
        "image_aspect_ratio": aspect,
    }
