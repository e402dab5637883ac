"""Vision towers: their kinds, the published ones by name, and where a checkpoint's own one lies.

Light: no torch, no transformers. The modules that compute are in `engine.towers`.
"""

from __future__ import annotations

from sensorium.model_adapters.towers.convnext import CONVNEXT
from sensorium.model_adapters.towers.intern_vit import INTERN_VIT
from sensorium.model_adapters.towers.kind import TowerKind
from sensorium.model_adapters.towers.language_bind import LANGUAGE_BIND_IMAGE, LANGUAGE_BIND_VIDEO
from sensorium.model_adapters.towers.mplug_owl import MPLUG_OWL
from sensorium.model_adapters.towers.qwen_vl import QWEN_VL
from sensorium.model_adapters.towers.sam_siglip import SAM_SIGLIP
from sensorium.model_adapters.towers.timm import TIMM_LINEAR, TIMM_SIGLIP
from sensorium.model_adapters.towers.vit import CLIP, SIGLIP

__all__ = ["KINDS", "TowerKind"]

_ALL = (
    CLIP,
    SIGLIP,
    TIMM_SIGLIP,
    TIMM_LINEAR,
    SAM_SIGLIP,
    INTERN_VIT,
    CONVNEXT,
    MPLUG_OWL,
    QWEN_VL,
    LANGUAGE_BIND_IMAGE,
    LANGUAGE_BIND_VIDEO,
)
KINDS: dict[str, TowerKind] = {kind.name: kind for kind in _ALL}
