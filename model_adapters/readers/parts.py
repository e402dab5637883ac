"""What readers of configs share that hold one config a part."""

from __future__ import annotations

from collections.abc import Iterable

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.spec import LanguageModel, RawConfig

__all__ = ["language_model_of"]


def language_model_of(text: RawConfig, key: str, known: Iterable[LanguageModel]) -> LanguageModel:
    """The one of `known` that a part's config is of; `key` is where it stands, for the error."""
    models = {model.config_type: model for model in known}
    kind = text.get("model_type")
    if kind not in models:
        raise CheckpointError(
            f"the config's `{key}` is of `model_type: {kind!r}`; this family is served on "
            f"{', '.join(models)}"
        )
    return models[kind]
