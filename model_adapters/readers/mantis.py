"""Mantis's config: Hugging Face's layout of LLaVA.

Facts: TIGER-AI-Lab/Mantis, mantis/models/mllava/{configuration,modeling}_llava.py.
"""

from __future__ import annotations

from collections.abc import Iterable

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.readers.parts import language_model_of
from sensorium.model_adapters.spec import LanguageModel, RawConfig

__all__ = ["read_mantis"]


def read_mantis(raw: RawConfig, known: Iterable[LanguageModel]) -> RawConfig:
    """`LlavaConfig` in LLaVA's flat keys, under the language model's architecture.

    Raises CheckpointError for a language model that is not `known`, and for features of the tower
    that are not taken the default way.
    """
    text, vision = raw["text_config"], raw["vision_config"]
    strategy = raw.get("vision_feature_select_strategy", "default")
    if strategy != "default":
        raise CheckpointError(
            f"the config's `vision_feature_select_strategy` is {strategy!r}; known: 'default'"
        )
    return {
        **text,
        "architectures": [language_model_of(text, "text_config", known).architecture],
        "dtype": raw.get("dtype") or raw.get("torch_dtype"),
        "mm_projector_type": "mlp2x_gelu",
        "mm_vision_config": {**vision, "kind": str(vision.get("model_type")).partition("_")[0]},
        "mm_vision_select_layer": raw.get("vision_feature_layer", -2),
    }
