"""Valley's config, which is LLaVA's with ways of pooling that are trained."""

from __future__ import annotations

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.spec import RawConfig

__all__ = ["read_valley"]

# RupertLuo/Valley, valley/model/valley_model.py and its later versions.
_TRAINED = ("use_patch_importance_pooling", "use_delta_transformer")


def read_valley(raw: RawConfig) -> RawConfig:
    """The config as it is; raises CheckpointError for one with trained pooling."""
    for key in _TRAINED:
        if raw.get(key):
            raise CheckpointError(
                f"the config's `{key}: {raw[key]!r}` says frames that are pooled by trained "
                "weights; of Valley only the checkpoints that take the mean are served"
            )
    return raw
