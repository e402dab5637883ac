"""LLaVA v1 and v1.5, and everything fine-tuned from them.

Facts: haotian-liu/LLaVA, llava/mm_utils.py (preprocessing, tokens), llava/conversation.py,
llava/model/llava_arch.py, and llava/eval/run_llava.py for the styles by name. v1.5 and most
fine-tunes speak `vicuna_v1`.
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import LLAMA, MISTRAL
from sensorium.model_adapters.prompts import LLAMA_2, LLAVA_V0, LLAVA_V1, VICUNA_V1
from sensorium.model_adapters.spec import FamilySpec, Tokenizer, Tower

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="llava",
    title="LLaVA v1 and v1.5, ShareGPT4V, BakLLaVA and LLaVA fine-tunes",
    checkpoints=(
        "liuhaotian/llava-v1.5-7b",
        "liuhaotian/llava-v1.5-13b",
        "liuhaotian/llava-v1-0719-336px-lora-merge-vicuna-13b-v1.3",
        "Lin-Chen/ShareGPT4V-7B",
        "Lin-Chen/ShareGPT4V-13B",
        "SkunkworksAI/BakLLaVA-1",
    ),
    language_models={
        "LlavaLlamaForCausalLM": LLAMA,
        "Share4VLlamaForCausalLM": LLAMA,
        "LlavaMistralForCausalLM": MISTRAL,
    },
    prompts={"": VICUNA_V1, "LlavaMistralForCausalLM": LLAVA_V1},
    named_prompts=(
        ("llama-?2", LLAMA_2),
        (r"v0(?!\d)", LLAVA_V0),
        (r"delta-v1|v1-0719|rlaif", LLAVA_V1),
    ),
    tower=Tower(kinds=("clip", "siglip", "convnext", "intern_vit")),
    projectors=("linear", "mlp", "mlp_norm", "ldp", "ldpv2", "downsample"),
    tokenizer=Tokenizer(slow_llama=True),
    generation={"temperature": 0.2},
    limits=(
        "one image in training, several are taken; towers and projectors that are not LLaVA's own "
        "are served in any mix as LLaVA's code would treat them, which their authors' may not"
    ),
    proof="tests/families/test_llava.py",
)
