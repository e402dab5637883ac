"""Configs that hold one config a part, rewritten into LLaVA's flat keys.

The architecture of the result is the language model's: the whole has the same one whatever it is
made of.
"""

from __future__ import annotations

from collections.abc import Iterable

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.spec import LanguageModel, RawConfig

__all__ = ["read_tinyllava"]


def read_tinyllava(raw: RawConfig, known: Iterable[LanguageModel]) -> RawConfig:
    """`TinyLlavaConfig`; raises CheckpointError for a language model that is not `known`.

    Facts: TinyLLaVA/TinyLLaVA_Factory at f6d1b5d, tinyllava/model/configuration_tinyllava.py.
    """
    text, vision = raw["text_config"], raw["vision_config"]
    return {
        **text,
        "architectures": [_language_model(text, "text_config", known).architecture],
        "dtype": raw.get("dtype") or raw.get("torch_dtype"),
        "image_aspect_ratio": raw.get("image_aspect_ratio", "square"),
        "mm_projector_type": raw["connector_type"],
        "mm_vision_config": {**vision, "kind": str(vision.get("model_type")).partition("_")[0]},
        "mm_vision_select_feature": raw.get("vision_feature_select_strategy", "patch"),
        "mm_vision_select_layer": raw.get("vision_feature_layer", -2),
    }


def _language_model(text: RawConfig, key: str, known: Iterable[LanguageModel]) -> LanguageModel:
    models = {model.config_type: model for model in known}
    kind = text.get("model_type")
    if kind not in models:
        raise CheckpointError(
            f"the config's `{key}` is of `model_type: {kind!r}`; this family is served on "
            f"{', '.join(models)}"
        )
    return models[kind]
