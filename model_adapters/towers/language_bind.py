"""LanguageBind's towers for images and for videos: CLIP, for videos with attention over time.

Facts: PKU-YuanGroup/Video-LLaVA, videollava/model/multimodal_encoder/languagebind/
(image/processing_image.py, video/processing_video.py, video/configuration_video.py): images are
resized as tensors, bicubically; frames bilinearly. torchvision 0.15 antialiases neither.
"""

from __future__ import annotations

from dataclasses import replace

from sensorium.model_adapters.towers.vit import CLIP

__all__ = ["LANGUAGE_BIND_IMAGE", "LANGUAGE_BIND_VIDEO"]

LANGUAGE_BIND_IMAGE = replace(
    CLIP, name="LanguageBindImage", owner="LanguageBind", resize="plain_bicubic"
)
# Those of the authors' config class.
_OVER_TIME = {"add_time_attn": False, "num_frames": 1}
LANGUAGE_BIND_VIDEO = replace(
    CLIP,
    name="LanguageBindVideo",
    owner="LanguageBind",
    build="sensorium.model_adapters.engine.towers.language_bind:LanguageBindVideoTower",
    resize="plain_bilinear",
    defaults={**CLIP.defaults, **_OVER_TIME},
)
