"""LLaVA-1.6 (LLaVA-NeXT): tiles, with the padding between them cut away.

Facts: haotian-liu/LLaVA and LLaVA-VL/LLaVA-NeXT, llava/mm_utils.py (`process_anyres_image`),
llava/model/llava_arch.py (`spatial_unpad`), llava/conversation.py. The tower was trained and lies
in the checkpoint.
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import LLAMA, MISTRAL
from sensorium.model_adapters.prompts import MISTRAL_INSTRUCT, VICUNA_V1
from sensorium.model_adapters.spec import FamilySpec, Tokenizer

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="llava-next",
    title="LLaVA-1.6 (LLaVA-NeXT) on Vicuna and Mistral",
    checkpoints=(
        "liuhaotian/llava-v1.6-vicuna-7b",
        "liuhaotian/llava-v1.6-vicuna-13b",
        "liuhaotian/llava-v1.6-mistral-7b",
    ),
    language_models={"LlavaLlamaForCausalLM": LLAMA, "LlavaMistralForCausalLM": MISTRAL},
    prompts={"": VICUNA_V1, "LlavaMistralForCausalLM": MISTRAL_INSTRUCT},
    projectors=("mlp",),
    aspects={"anyres": "anyres"},
    tokenizer=Tokenizer(slow_llama=True),
    limits="one image in training, several are taken",
    proof="tests/families/test_llava_next.py",
)
