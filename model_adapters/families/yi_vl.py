"""Yi-VL 6B and 34B.

Facts: 01-ai/Yi, VL/single_inference.py (pads as the config says), VL/llava/conversation.py,
VL/llava/model/multimodal_projector/builder.py. The tower lies in the checkpoint's folder `vit`.
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import LLAMA
from sensorium.model_adapters.prompts import YI_VL
from sensorium.model_adapters.spec import FamilySpec, Tokenizer

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="yi-vl",
    title="Yi-VL",
    checkpoints=("01-ai/Yi-VL-6B", "01-ai/Yi-VL-34B"),
    language_models={"LlavaLlamaForCausalLM": LLAMA},
    prompts={"": YI_VL},
    projectors=("mlp_norm",),
    tokenizer=Tokenizer(slow_llama=True),
    limits=(
        "one image a conversation in training, several are taken; answers end at the text `###`, "
        "which has to be asked for as `stop`"
    ),
    proof="tests/families/test_yi_vl.py",
)
