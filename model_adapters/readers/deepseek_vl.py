"""DeepSeek-VL's nested configs.

Facts: deepseek-ai/DeepSeek-VL, deepseek_vl/models/modeling_vlm.py, clip_encoder.py, projector.py.
"""

from __future__ import annotations

from typing import Any

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.spec import RawConfig
from sensorium.model_adapters.towers.timm import TIMM_SIGLIP

__all__ = ["one_tower", "two_towers"]

# The language model's config is partial. Its authors complete it with the defaults of transformers'
# Llama but end answers at the tokenizer's end token, whatever that config says.
_LLAMA = {
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "bos_token_id": None,
    "eos_token_id": None,
}
_PROJECTORS = {
    "linear": "linear",
    "mlp_gelu": "mlp{depth}x_gelu",
    "low_high_hybrid_split_mlp_gelu": "split_mlp{depth}x_gelu",
}
_HIGH, _LOW = "sam_b_downsample", "siglip_large_patch16_384"


def one_tower(raw: RawConfig) -> RawConfig:
    """The 1.3B models' config; raises CheckpointError for another tower."""
    tower = raw["vision_config"]["params"]
    if tower.get("model_name") != _LOW or tower.get("pixel_mean"):
        raise CheckpointError(
            f"the config's `vision_config` says {tower!r}; served is {_LOW}, normalised by the "
            "image processor and not again"
        )
    return _flat(raw, {"kind": "timm-siglip", "image_size": tower["image_size"]})


def two_towers(raw: RawConfig) -> RawConfig:
    """The 7B models' config; raises CheckpointError for another pair of towers."""
    towers = raw["vision_config"]["params"]
    high, low = towers["high_res_cfg"], towers["low_res_cfg"]
    named = (high.get("model_name"), low.get("model_name"), towers.get("concat_type", "tuple"))
    if named != (_HIGH, _LOW, "tuple"):
        raise CheckpointError(
            f"the config's `vision_config` names {named}; served are {(_HIGH, _LOW, 'tuple')}"
        )
    small = {**TIMM_SIGLIP.defaults, "image_size": low["image_size"]}
    return _flat(raw, {"kind": "sam-siglip", "image_size": high["image_size"], "low": small})


def _flat(raw: RawConfig, tower: dict[str, Any]) -> RawConfig:
    aligner = {"depth": 1, **raw["aligner_config"]["params"]}
    kind = aligner.get("projector_type")
    if kind not in _PROJECTORS:
        raise CheckpointError(
            f"the config's `aligner_config` has `projector_type: {kind!r}`; "
            f"known: {', '.join(_PROJECTORS)}"
        )
    text = {**_LLAMA, **raw["language_config"]}
    return {
        **text,
        "architectures": raw["architectures"],
        "torch_dtype": raw.get("torch_dtype") or text.get("torch_dtype"),
        "mm_vision_config": tower,
        "mm_projector_type": _PROJECTORS[kind].format(depth=aligner["depth"]),
        "image_aspect_ratio": "fit",
    }
