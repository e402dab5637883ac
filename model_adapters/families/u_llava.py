"""u-LLaVA, answering in text: of an object that it finds it says [SEG], without a mask.

Facts: OPPOMKLab/u-LLaVA at 3a06261 (the code that was released with the weights),
models/{ullava,ullava_core,tools}.py, evaluation/inference_ullava.py, utils/conversation.py
(`conv_sep2`). Its transformers, 4.29, strips the spaces around added tokens, also in earlier
answers, and knows no `legacy`.
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import LLAMA
from sensorium.model_adapters.prompts import U_LLAVA
from sensorium.model_adapters.readers.u_llava import read_u_llava
from sensorium.model_adapters.spec import FamilySpec, Tokenizer

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="u-llava",
    title="u-LLaVA (text)",
    checkpoints=("jinxu95/ullava",),
    language_models={"UllavaCoreForCausalLM": LLAMA},
    prompts={"": U_LLAVA},
    projectors=("linear", "mlp"),
    tokenizer=Tokenizer(slow_llama=True, cuts_vocabulary=False, strips=True, in_answers=r"\[SEG\]"),
    trained_tokens={},
    weights=(
        ("llm.vision_encoder.", "vision_tower."),
        ("llm.vision_projector.", "projector."),
        ("llm.lm_head.", "language_model.lm_head."),
        ("llm.model.", "language_model.model."),
        ("visual_model.", None),
        ("text_hidden_fcs.", None),
    ),
    read=read_u_llava,
    limits=(
        "text only: [SEG] makes no mask; one image in the authors' code, several are taken; no "
        "videos, which only the first training stage reads; not the code and weights of 2025 with "
        "boxes"
    ),
    proof="tests/families/test_u_llava.py",
)
