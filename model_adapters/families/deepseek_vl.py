"""DeepSeek-VL 1.3B.

Facts: deepseek-ai/DeepSeek-VL, deepseek_vl/models/{clip_encoder,siglip_vit,projector,
modeling_vlm,image_processing_vlm}.py, deepseek_vl/utils/conversation.py, inference.py (no newline
after a picture; the authors' web demo writes one).
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import LLAMA
from sensorium.model_adapters.prompts import DEEPSEEK_VL
from sensorium.model_adapters.readers.deepseek_vl import one_tower
from sensorium.model_adapters.spec import FamilySpec, Tokenizer, Tower

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="deepseek-vl",
    title="DeepSeek-VL 1.3B",
    checkpoints=("deepseek-ai/deepseek-vl-1.3b-chat", "deepseek-ai/deepseek-vl-1.3b-base"),
    language_models={"MultiModalityCausalLM": LLAMA},
    prompts={"": DEEPSEEK_VL},
    tower=Tower(kinds=("timm-siglip",), select_layer=-1, keep_class_token=True),
    projectors=("linear", "mlp"),
    aspects={"fit": "fit"},
    tokenizer=Tokenizer(cuts_vocabulary=False),
    weights=(
        ("vision_model.vision_tower.", "vision_tower."),
        ("aligner.layers.", "projector."),
        ("language_model.", "language_model."),
    ),
    read=one_tower,
    limits="images stand where the request has them, as many as the context holds",
    proof="tests/families/test_deepseek_vl.py",
)
