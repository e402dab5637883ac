"""Video-LLaVA's config: flat as LLaVA's, with a key for each of its two towers."""

from __future__ import annotations

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.spec import IMAGE_TOKENS, RawConfig

__all__ = ["read_video_llava"]


def read_video_llava(raw: RawConfig) -> RawConfig:
    """The config as it is.

    Raises CheckpointError where tokens stand around images and videos: the authors' scripts differ
    on which stand around a video, and no published checkpoint has them.
    """
    if raw.get(IMAGE_TOKENS):
        raise CheckpointError(
            f"the config's `{IMAGE_TOKENS}: true` says trained tokens around images and videos, "
            "which the family 'video-llava' does not serve"
        )
    return raw
