"""GLaMM, answering in text: its words about the picture and their tags, no masks and no regions.

Facts: mbzuai-oryx/groundingLMM, app.py (conversation `llava_v1`, the sentence before a question),
model/GLaMM.py and model/llava/model/llava_with_region_arch.py (a projector of two layers whatever
the config says; the tower is frozen in training, so the one inside is the published one). Its
transformers, 4.28, strips the spaces around added tokens, also in earlier answers.
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import LLAMA
from sensorium.model_adapters.prompts import GLAMM
from sensorium.model_adapters.spec import FamilySpec, Tokenizer

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="glamm",
    title="GLaMM (text)",
    checkpoints=(
        "MBZUAI/GLaMM-FullScope",
        "MBZUAI/GLaMM-GCG",
        "MBZUAI/GLaMM-RefSeg",
        "MBZUAI/GLaMM-RegCap-{RefCOCOg,VG}",
        "MBZUAI/GLaMM-GranD-Pretrained",
    ),
    language_models={"GLaMMForCausalLM": LLAMA},
    prompts={"": GLAMM},
    tokenizer=Tokenizer(
        slow_llama=True, cuts_vocabulary=False, strips=True, in_answers=r"\[SEG\]|</?p>"
    ),
    weights=(
        ("model.grounding_encoder.", None),
        ("model.text_hidden_fcs.", None),
        ("model.region_encoder.", None),
        *FamilySpec.weights,
    ),
    read=lambda raw: {**raw, "mm_projector_type": "mlp2x_gelu"},
    limits="text only: [SEG] makes no mask, <bbox> reads no region; one image in training",
    proof="tests/families/test_finetunes.py",
)
