"""Mantis on Llama-3, with a SigLIP or a CLIP tower: Hugging Face's layout under its own rules.

Facts: TIGER-AI-Lab/Mantis, mantis/models/mllava/{modeling_llava,processing_llava,utils}.py,
mantis/models/conversation.py (`conv_llama_3`). The first row of features is cut off with SigLIP
too, which has no class token; images are numbered through the conversation and stand where the
text has them, and the space after each is the README's.
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import LLAMA
from sensorium.model_adapters.prompts import MANTIS
from sensorium.model_adapters.readers.mantis import read_mantis
from sensorium.model_adapters.spec import FamilySpec, Tokenizer, Tower

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="mantis",
    title="Mantis on Llama-3",
    checkpoints=("TIGER-Lab/Mantis-8B-siglip-llama3", "TIGER-Lab/Mantis-8B-clip-llama3"),
    language_models={LLAMA.architecture: LLAMA},
    prompts={"": MANTIS},
    tower=Tower(kinds=("siglip", "clip"), drops_first_patch=True),
    projectors=("mlp",),
    tokenizer=Tokenizer(cuts_vocabulary=False),
    generation={"temperature": 0.0},
    weights=(
        ("vision_tower.", "vision_tower."),
        ("multi_modal_projector.linear_1.", "projector.0."),
        ("multi_modal_projector.linear_2.", "projector.2."),
        ("language_model.", "language_model."),
    ),
    read=lambda raw: read_mantis(raw, (LLAMA,)),
    limits=(
        "Mantis-llava-7b, whose config says nothing of its own, is served by vLLM as any LLaVA of "
        "Hugging Face's"
    ),
    proof="tests/families/test_mantis.py",
)
