"""LLaVA v1 and v1.5, and everything fine-tuned from them.

Facts: haotian-liu/LLaVA, llava/mm_utils.py (preprocessing, tokens), llava/conversation.py,
llava/model/llava_arch.py, and llava/eval/run_llava.py for the styles by name. v1.5 and most
fine-tunes speak `vicuna_v1`. Chinese-LLaVA: LinkSoul-AI/Chinese-LLaVA, infer.py, infer_tokenize.py.
VILA 1.0, LLaVA-1.5 trained otherwise: NVlabs/VILA at v1.0, README.md, scripts/v1_5/paper/3_sft.sh.
LLaVA-Plus: LLaVA-VL/LLaVA-Plus-Codebase, llava/serve/gradio_web_server_llava_plus.py.
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import LLAMA, MISTRAL
from sensorium.model_adapters.prompts import LLAMA_2, LLAVA_V0, LLAVA_V1, STYLES, VICUNA_V1
from sensorium.model_adapters.spec import FamilySpec, Tokenizer, Tower

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="llava",
    title="LLaVA v0, v1 and v1.5, ShareGPT4V, BakLLaVA, Chinese-LLaVA, VILA 1.0 and fine-tunes",
    checkpoints=(
        "liuhaotian/LLaVA-{7b,13b}-delta-v0",
        "liuhaotian/LLaVA-{13b,Lightning-7B}-delta-v1-1",
        "liuhaotian/llava-llama-2-13b-chat-lightning-preview",
        "liuhaotian/llava-v1-0719-336px-lora-merge-vicuna-13b-v1.3",
        "liuhaotian/llava-v1.5-{7b,13b}{,-lora}",
        "LLaVA-VL/llava_plus_v0_7b",
        "LinkSoul/Chinese-LLaVA-{Cllama2,Baichuan}",
        "Lin-Chen/ShareGPT4V-{7B,13B}",
        "SkunkworksAI/BakLLaVA-1",
        "openbmb/RLAIF-V-7B",
        "superjelly/SPA-VL-{DPO,PPO}_{30k,90k}",
        "Efficient-Large-Model/VILA-{2.7b,7b,13b}",
    ),
    language_models={
        "LlavaLlamaForCausalLM": LLAMA,
        "Share4VLlamaForCausalLM": LLAMA,
        "LlavaMistralForCausalLM": MISTRAL,
    },
    prompts={"": VICUNA_V1, "LlavaMistralForCausalLM": LLAVA_V1},
    named_prompts=(
        ("chinese-llava-cllama2", STYLES["chinese_llava_llama_2"]),
        ("chinese-llava-baichuan", STYLES["chinese_llava_baichuan"]),
        ("llama-?2", LLAMA_2),
        (r"v0(?!\d)", LLAVA_V0),
        (r"delta-v1|v1-0719|rlaif", LLAVA_V1),
    ),
    tower=Tower(kinds=("clip", "siglip", "convnext", "intern_vit")),
    projectors=("linear", "mlp", "mlp_norm", "ldp", "ldpv2", "downsample"),
    tokenizer=Tokenizer(slow_llama=True),
    generation={"temperature": 0.2},
    limits=(
        "one image in training, several are taken (VILA was trained on several); towers and "
        "projectors that are not LLaVA's own are served in any mix as LLaVA's code would treat "
        "them; images stand before the question, although some v0 scripts put them after "
        "(Chinese-LLaVA's do, and so it is there); RLAIF-V's authors search with 3 beams, which a "
        "request must ask for; configs of LLaVA-Plus, SPA-VL, VILA-7b and -13b were not seen"
    ),
    proof="tests/families/test_llava.py",
)
