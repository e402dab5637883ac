"""ConvLLaVA: LLaVA on a convolutional tower of five stages.

Facts: alibaba/conv-llava, llava/model/multimodal_encoder/convnext_encoder.py, llava/mm_utils.py,
llava/model/builder.py. The tower was trained; its published folders hold configs and no weights.
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import LLAMA
from sensorium.model_adapters.prompts import VICUNA_V1
from sensorium.model_adapters.spec import FamilySpec, Tokenizer, Tower

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="convllava",
    title="ConvLLaVA",
    checkpoints=(
        "ConvLLaVA/ConvLLaVA-sft-768",
        "ConvLLaVA/ConvLLaVA-sft-1024",
        "ConvLLaVA/ConvLLaVA-sft-1536",
    ),
    language_models={"LlavaLlamaForCausalLM": LLAMA},
    prompts={"": VICUNA_V1},
    tower=Tower(kinds=("convnext",)),
    tokenizer=Tokenizer(slow_llama=True),
    limits=(
        "one image in training, several are taken; that the tower's tensors lie in the checkpoint "
        "as LLaVA's do follows from the authors' code and was not seen in a listing"
    ),
    proof="tests/families/test_convllava.py",
)
