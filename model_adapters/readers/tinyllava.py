"""TinyLLaVA's config, one part beside the other.

Facts: TinyLLaVA/TinyLLaVA_Factory at f6d1b5d, tinyllava/model/configuration_tinyllava.py.
"""

from __future__ import annotations

from collections.abc import Iterable

from sensorium.model_adapters.readers.parts import language_model_of
from sensorium.model_adapters.spec import LanguageModel, RawConfig

__all__ = ["read_tinyllava"]


def read_tinyllava(raw: RawConfig, known: Iterable[LanguageModel]) -> RawConfig:
    """`TinyLlavaConfig` in LLaVA's flat keys, under the language model's architecture.

    Raises CheckpointError for a language model that is not `known`.
    """
    text, vision = raw["text_config"], raw["vision_config"]
    return {
        **text,
        "architectures": [language_model_of(text, "text_config", known).architecture],
        "dtype": raw.get("dtype") or raw.get("torch_dtype"),
        "image_aspect_ratio": raw.get("image_aspect_ratio", "square"),
        "mm_projector_type": raw["connector_type"],
        "mm_vision_config": {**vision, "kind": str(vision.get("model_type")).partition("_")[0]},
        "mm_vision_select_feature": raw.get("vision_feature_select_strategy", "patch"),
        "mm_vision_select_layer": raw.get("vision_feature_layer", -2),
    }
