"""The language models that families share, and how to recognise one by its architecture's name.

A family whose language model vLLM runs under its own names takes an entry from here (`LLAMA`,
`QWEN2`). One whose checkpoints name the same model in another way takes an entry with a
translation (`QWEN`, `INTERNLM`, `BAICHUAN`, `XVERSE`, `AQUILA`), and its spec's `weights` only say
which prefix belongs to the language model and put `language_model.` before the checkpoint's own
name; the translation goes on from there. For tensors under `transformer.`, as Qwen-1's:

    SPEC = FamilySpec(
        language_models={"SomeQWenForCausalLM": QWEN},
        weights=(("transformer.visual.", "vision_tower."),
                 ("transformer.", "language_model.transformer."),
                 ("lm_head.", "language_model.lm_head.")),
        ...
    )

Config keys are translated too, so the flat config keeps the authors' keys, and the tokenizer's
files are read as the language model's entry says (`dataclasses.replace` gives another, as Qwen-VL's
`QWEN_VL_TOKENIZER`).
"""

from __future__ import annotations

from sensorium.model_adapters.language_models.aquila import AQUILA
from sensorium.model_adapters.language_models.baichuan import BAICHUAN, BAICHUAN2
from sensorium.model_adapters.language_models.internlm import INTERNLM
from sensorium.model_adapters.language_models.meta_llama import META_LLAMA
from sensorium.model_adapters.language_models.qwen import QWEN
from sensorium.model_adapters.language_models.xverse import XVERSE
from sensorium.model_adapters.spec import LanguageModel
from sensorium.model_adapters.translation import Translation

__all__ = [
    "AQUILA",
    "BAICHUAN",
    "BAICHUAN2",
    "GEMMA",
    "GPT_NEOX",
    "INTERNLM",
    "LLAMA",
    "META_LLAMA",
    "MINICPM",
    "MISTRAL",
    "MOONDREAM_PHI",
    "MULTIWAY_LLAMA",
    "PHI",
    "PHI3",
    "QWEN",
    "QWEN2",
    "STABLELM",
    "TRANSLATIONS",
    "XVERSE",
    "guess_language_model",
]

LLAMA = LanguageModel("llama", "LlamaForCausalLM")
# mPLUG-Owl2's, with modules of its own for images.
MULTIWAY_LLAMA = LanguageModel("llama", "SensoriumMultiwayLlamaForCausalLM", masked=True)
MISTRAL = LanguageModel("mistral", "MistralForCausalLM")
QWEN2 = LanguageModel("qwen2", "Qwen2ForCausalLM")
GEMMA = LanguageModel("gemma", "GemmaForCausalLM", scale="sqrt_width")
# vLLM 0.32 has no class of its own for these two and runs them through transformers.
PHI = LanguageModel("phi", "PhiForCausalLM")
# phi-1.5 under the names of its first code, with a bias in the head.
MOONDREAM_PHI = LanguageModel(
    "phi",
    "PhiForCausalLM",
    translation=Translation(
        name="moondream_phi",
        fields=dict,
        outer={
            "transformer.embd.wte": "model.embed_tokens",
            "lm_head.ln": "model.final_layernorm",
            "lm_head.linear": "lm_head",
        },
        layers="transformer.h.",
        parts={
            "ln": ("input_layernorm",),
            "mixer.Wqkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
            "mixer.out_proj": ("self_attn.dense",),
        },
    ),
)
GPT_NEOX = LanguageModel(
    "gpt_neox",
    "GPTNeoXForCausalLM",
    translation=Translation(
        name="gpt_neox",
        fields=dict,
        outer={
            "gpt_neox.embed_in": "model.embed_in",
            "gpt_neox.final_layer_norm": "model.final_layer_norm",
            "embed_out": "lm_head",
        },
        layers="gpt_neox.layers.",
    ),
)
PHI3 = LanguageModel("phi3", "Phi3ForCausalLM")
# A Llama with scaled embeddings, residuals and logits; transformers has no configuration of it.
MINICPM = LanguageModel(
    "llama",
    "MiniCPMForCausalLM",
    defaults={
        "tie_word_embeddings": True,
        "rms_norm_eps": 1e-6,
        "scale_emb": 1,
        "scale_depth": 1,
        "dim_model_base": 1,
    },
    scale="scale_emb",
)
# Renamed are the keys of the authors' own code (`StableLMEpochConfig`), older than transformers'.
STABLELM = LanguageModel(
    "stablelm",
    "StableLmForCausalLM",
    renames={"norm_eps": "layer_norm_eps", "rope_pct": "partial_rotary_factor"},
)

_TRANSLATED = (
    QWEN,
    INTERNLM,
    BAICHUAN,
    BAICHUAN2,
    XVERSE,
    AQUILA,
    META_LLAMA,
    GPT_NEOX,
    MOONDREAM_PHI,
)
# By name, as plans write them down.
TRANSLATIONS: dict[str, Translation] = {
    model.translation.name: model.translation for model in _TRANSLATED if model.translation
}

# The longer name first: "Phi3" also holds "Phi", "Qwen2" also "Qwen". None: vLLM may know it, but
# it is not what the shorter name says.
_BY_NAME: tuple[tuple[str, LanguageModel | None], ...] = (
    ("mistral", MISTRAL),
    ("qwen", QWEN2),
    ("gemma", GEMMA),
    ("phi3", PHI3),
    ("phi", PHI),
    ("stablelm", STABLELM),
    ("minicpm", MINICPM),
    ("gptneox", GPT_NEOX),
    ("internlm2", None),
    ("internlm3", None),
    ("internlm", INTERNLM),
    ("baichuan", BAICHUAN),
    ("xverse", XVERSE),
    ("aquila", AQUILA),
    ("llama", LLAMA),
)


def guess_language_model(architecture: str, model_type: str) -> LanguageModel | None:
    """The language model that a name such as `LlavaMistralForCausalLM` speaks of, or None.

    "llava" does not count as "llama"; among several matches the one that stands last in the name
    wins, as in `LlavaLlamaMistralForCausalLM`. Only the first Qwen's code writes "QWen".
    """
    if "QWen" in architecture:
        return QWEN
    for name in (architecture.lower(), model_type.lower().replace("-", "").replace("_", "")):
        found = [(name.rfind(word), model) for word, model in _BY_NAME if word in name]
        if found:
            return max(found, key=lambda pair: pair[0])[1]
    return None
