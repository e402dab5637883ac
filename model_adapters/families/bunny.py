"""Bunny v1.0 on Qwen1.5 and phi-2.

Facts: BAAI-DCAI/Bunny, bunny/conversation.py, bunny/util/mm_utils.py, bunny/model/ (SigLIP's
`hidden_states[-2]`, every patch kept; a phi head without bias).
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import PHI, QWEN2
from sensorium.model_adapters.prompts import BUNNY
from sensorium.model_adapters.spec import FamilySpec, Tower

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="bunny",
    title="Bunny v1.0 on Qwen1.5 and phi-2",
    checkpoints=("BAAI/Bunny-v1_0-2B-zh", "BAAI/Bunny-v1_0-3B"),
    language_models={
        "BunnyQwenForCausalLM": QWEN2,
        "BunnyQwen2ForCausalLM": QWEN2,
        "BunnyPhiForCausalLM": PHI,
    },
    prompts={"": BUNNY},
    tower=Tower(kinds=("siglip",), select_layer=-2, keep_class_token=True),
    projectors=("mlp",),
    limits="one image in training, several are taken",
    proof="tests/families/test_bunny.py",
)
