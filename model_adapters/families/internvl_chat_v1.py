"""InternVL-Chat V1.0: LLaVA-1.5 on InternViT-6B.

Facts: OpenGVLab/InternVL, internvl_chat_llava/llava/model/multimodal_encoder/clip_encoder.py (448
pixels where the tower's name says 448, else 336 for the tower trained at 224, its positions
interpolated), internvl_chat_llava/scripts_internvl (`mm_vision_select_layer` -4, which the config
repeats; pictures are padded).
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import LLAMA
from sensorium.model_adapters.prompts import VICUNA_V1
from sensorium.model_adapters.spec import FamilySpec, Tokenizer, Tower

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="internvl-chat-1.0",
    title="InternVL-Chat V1.0",
    checkpoints=(
        "OpenGVLab/InternVL-Chat-ViT-6B-Vicuna-7B",
        "OpenGVLab/InternVL-Chat-ViT-6B-Vicuna-13B",
        "OpenGVLab/InternVL-Chat-ViT-6B-Vicuna-13B-448px",
    ),
    language_models={"LlavaLlamaForCausalLM": LLAMA},
    prompts={"": VICUNA_V1},
    tower=Tower(kinds=("intern_vit",), sizes=(("448", 448), ("", 336))),
    projectors=("linear", "mlp"),
    aspects={"pad": "pad"},
    tokenizer=Tokenizer(slow_llama=True),
    limits="one image in training, several are taken; not the models on InternVL-14B",
    proof="tests/families/test_internvl_chat_v1.py",
)
