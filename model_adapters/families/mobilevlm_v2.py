"""MobileVLM v2: v1 with a lighter projector and a tower that was trained, inside the checkpoint.

Facts: Meituan-AutoML/MobileVLM, mobilevlm/model/vision_projector.py.
"""

from __future__ import annotations

from dataclasses import replace

from sensorium.model_adapters.families import mobilevlm
from sensorium.model_adapters.spec import Tower

__all__ = ["SPEC"]

SPEC = replace(
    mobilevlm.SPEC,
    name="mobilevlm-v2",
    title="MobileVLM V2",
    checkpoints=("mtgv/MobileVLM_V2-1.7B", "mtgv/MobileVLM_V2-3B", "mtgv/MobileVLM_V2-7B"),
    tower=Tower(inside="used"),
    projectors=("ldpv2",),
)
