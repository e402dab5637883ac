"""Nous-Hermes-2-Vision: LLaVA-1.5 on Mistral with a SigLIP tower that is opened as a CLIP.

Facts: qnguyen3/hermes-llava, llava/model/builder.py, llava/model/multimodal_encoder/builder.py
(`CLIPVisionTower` for a name with "ikala"), llava/serve/gradio_web_server.py (conversation `v1`).
"""

from __future__ import annotations

from dataclasses import replace

from sensorium.model_adapters.families import llava
from sensorium.model_adapters.language_models import MISTRAL
from sensorium.model_adapters.prompts import VICUNA_V1
from sensorium.model_adapters.spec import Tower

__all__ = ["SPEC"]

SPEC = replace(
    llava.SPEC,
    name="nous-hermes-2-vision",
    title="Nous-Hermes-2-Vision",
    checkpoints=("NousResearch/Nous-Hermes-2-Vision-Alpha",),
    language_models={"LlavaMistralForCausalLM": MISTRAL},
    prompts={"": VICUNA_V1},
    named_prompts=(),
    tower=Tower(kinds=("clip",)),
    projectors=("mlp",),
    limits="one image in training, several are taken; the tower must be at hand (`--vision-tower`)",
    unconfirmed=(
        "the files of its tower, ikala/ViT-SO400M-14-SigLIP-384-hf, were not seen (served is a "
        "CLIP with a class token, which is dropped: 729 tokens an image), nor the conversation "
        "that it was trained on (served is the one that its authors' web page writes)"
    ),
    proof="tests/families/test_nous_hermes_2_vision.py",
)
