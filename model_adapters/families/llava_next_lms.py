"""LLaVA-NeXT on language models whose conversations are not Vicuna's.

Facts: haotian-liu/LLaVA, llava/eval/run_llava.py (34b: `chatml_direct`); LLaVA-VL/LLaVA-NeXT,
docs/LLaVA-NeXT.md (`llava_llama_3`, `qwen_1_5`), llava/conversation.py. The size of the vocabulary
tells them from Vicuna: 34b is Nous-Hermes-2-Yi-34B.
"""

from __future__ import annotations

from dataclasses import replace

from sensorium.model_adapters.families.llava_next import SPEC
from sensorium.model_adapters.language_models import LLAMA, QWEN2
from sensorium.model_adapters.prompts import CHATML_DIRECT, LLAMA_3, QWEN_1_5
from sensorium.model_adapters.spec import Tokenizer

__all__ = ["LLAMA_3_8B", "QWEN", "YI_34B"]

YI_34B = replace(
    SPEC,
    name="llava-next-34b",
    title="LLaVA-1.6 (LLaVA-NeXT) 34B on Yi",
    checkpoints=("liuhaotian/llava-v1.6-34b",),
    language_models={"LlavaLlamaForCausalLM": LLAMA},
    prompts={"": CHATML_DIRECT},
)
LLAMA_3_8B = replace(
    YI_34B,
    name="llava-next-llama3",
    title="LLaVA-NeXT on Llama-3",
    checkpoints=("lmms-lab/llama3-llava-next-8b",),
    prompts={"": LLAMA_3},
)
QWEN = replace(
    SPEC,
    name="llava-next-qwen",
    title="LLaVA-NeXT on Qwen1.5",
    checkpoints=("lmms-lab/llava-next-72b", "lmms-lab/llava-next-110b"),
    language_models={"LlavaQwenForCausalLM": QWEN2},
    prompts={"": QWEN_1_5},
    tokenizer=Tokenizer(),
)
