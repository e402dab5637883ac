"""MobileVLM v1.

Facts: Meituan-AutoML/MobileVLM, mobilevlm/model/vision_projector.py, scripts/inference.py. The
authors' loader opens the separate CLIP tower whatever the checkpoint holds.
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import LLAMA
from sensorium.model_adapters.prompts import VICUNA_V1
from sensorium.model_adapters.spec import FamilySpec, Tokenizer, Tower

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="mobilevlm",
    title="MobileVLM",
    checkpoints=("mtgv/MobileVLM-1.7B", "mtgv/MobileVLM-3B"),
    language_models={"MobileLlamaForCausalLM": LLAMA},
    prompts={"": VICUNA_V1},
    tower=Tower(inside="ignored"),
    projectors=("ldp",),
    tokenizer=Tokenizer(slow_llama=True),
    limits="one image in training, several are taken",
    proof="tests/families/test_mobilevlm.py",
)
