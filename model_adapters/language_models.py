"""The language models that families share, and how to recognise one by its architecture's name."""

from __future__ import annotations

from sensorium.model_adapters.spec import LanguageModel

__all__ = [
    "GEMMA",
    "LLAMA",
    "MINICPM",
    "MISTRAL",
    "PHI",
    "PHI3",
    "QWEN2",
    "STABLELM",
    "guess_language_model",
]

LLAMA = LanguageModel("llama", "LlamaForCausalLM")
MISTRAL = LanguageModel("mistral", "MistralForCausalLM")
QWEN2 = LanguageModel("qwen2", "Qwen2ForCausalLM")
GEMMA = LanguageModel("gemma", "GemmaForCausalLM", scale="sqrt_width")
# vLLM 0.32 has no class of its own for phi-1.5 and phi-2 and runs them through transformers.
PHI = LanguageModel("phi", "PhiForCausalLM")
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

# The longer name first: "Phi3" also holds "Phi".
_BY_NAME = (
    ("mistral", MISTRAL),
    ("qwen", QWEN2),
    ("gemma", GEMMA),
    ("phi3", PHI3),
    ("phi", PHI),
    ("stablelm", STABLELM),
    ("minicpm", MINICPM),
    ("llama", LLAMA),
)


def guess_language_model(architecture: str, model_type: str) -> LanguageModel | None:
    """The language model that a name such as `LlavaMistralForCausalLM` speaks of, or None.

    "llava" does not count as "llama"; among several matches the one that stands last in the name
    wins, as in `LlavaLlamaMistralForCausalLM`.
    """
    for name in (architecture.lower(), model_type.lower().replace("-", "").replace("_", "")):
        found = [(name.rfind(word), model) for word, model in _BY_NAME if word in name]
        if found:
            return max(found, key=lambda pair: pair[0])[1]
    return None
