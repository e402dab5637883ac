"""Bunny v1.0 on all its language models, and v1.1, which sees each picture at three sizes.

Facts: BAAI-DCAI/Bunny, bunny/conversation.py (`bunny`, `phi3`, `minicpm` and `llama` differ in the
end token), bunny/util/mm_utils.py, bunny/model/ (SigLIP's `hidden_states[-2]`, every patch kept; a
phi head without bias; MiniCPM's `scale_emb` also on features), bunny/util/s2wrapper/.
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import LLAMA, MINICPM, PHI, PHI3, QWEN2, STABLELM
from sensorium.model_adapters.prompts import BUNNY, BUNNY_LLAMA, VICUNA_V1
from sensorium.model_adapters.spec import FamilySpec, Tower

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="bunny",
    title="Bunny v1.0 and v1.1",
    checkpoints=(
        "BAAI/Bunny-v1_0-2B-zh",
        "BAAI/Bunny-v1_0-3B-zh",
        "BAAI/Bunny-v1_0-3B",
        "BAAI/Bunny-v1_0-4B",
        "BAAI/Bunny-Llama-3-8B-V",
        "BAAI/Bunny-v1_1-4B",
        "BAAI/Bunny-v1_1-Llama-3-8B-V",
    ),
    language_models={
        "BunnyQwenForCausalLM": QWEN2,
        "BunnyQwen2ForCausalLM": QWEN2,
        "BunnyPhiForCausalLM": PHI,
        "BunnyPhi3ForCausalLM": PHI3,
        "BunnyMiniCPMForCausalLM": MINICPM,
        "BunnyStableLMForCausalLM": STABLELM,
        "BunnyLlamaForCausalLM": LLAMA,
    },
    prompts={
        "": BUNNY,
        "BunnyMiniCPMForCausalLM": VICUNA_V1,
        "BunnyLlamaForCausalLM": BUNNY_LLAMA,
    },
    tower=Tower(kinds=("siglip",), select_layer=-2, keep_class_token=True, scales="384,768,1152"),
    projectors=("mlp",),
    limits=(
        "one image in training, several are taken; the SigLIP checkpoints, not those on EVA-CLIP; "
        "LoRA checkpoints (Bunny on phi-1.5 and StableLM-2) have to be merged first"
    ),
    proof="tests/families/test_bunny.py",
)
