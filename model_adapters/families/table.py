"""How each family's configs are told from all others: one entry a family, read before any spec."""

from __future__ import annotations

from collections.abc import Mapping

from sensorium.model_adapters.registry import Entry

__all__ = ["ENTRIES"]


def _family(
    name: str,
    module: str,
    *architectures: str,
    when: Mapping[str, str] | None = None,
    needs: tuple[str, ...] = ("mm_vision_tower",),
) -> Entry:
    spec = f"sensorium.model_adapters.families.{module}:SPEC"
    return Entry(name, spec, architectures, when or {}, needs)


_LLAVA = ("LlavaLlamaForCausalLM", "LlavaMistralForCausalLM")
_MOBILE = "MobileLlamaForCausalLM"
_BUNNY = tuple(
    f"Bunny{name}ForCausalLM"
    for name in ("Qwen", "Qwen2", "Phi", "Phi3", "MiniCPM", "StableLM", "Llama")
)
_VILA = ("llm_cfg", "vision_tower_cfg", "mm_projector_cfg")
_SIGLIP = {"mm_vision_tower": "(?i).*siglip.*"}
_TINY_BENCH = (
    "TinyLlavaPhiForCausalLM",
    "TinyLlavaStablelmForCausalLM",
    "TinyLlavaLlamaForCausalLM",
    "LlavaPhiForCausalLM",
)

# Janus has the architecture's name too, and a config for making images.
_DEEPSEEK = "MultiModalityCausalLM"
_DEEPSEEK_NEEDS = ("vision_config", "aligner_config", "language_config")
_ONE_TOWER = {"gen_vision_config": "None", "vision_config": ".*'CLIPVisionTower'.*"}
_TWO_TOWERS = {"vision_config": ".*'HybridVisionTower'.*"}

ENTRIES = (
    # The catch-all: whatever is laid out as LLaVA is, under any architecture's name.
    _family("llava", "llava"),
    _family("llava-next", "llava_next", *_LLAVA, when={"image_aspect_ratio": "anyres"}),
    _family("yi-vl", "yi_vl", _LLAVA[0], when={"mm_projector_type": "mlp2x_gelu_Norm"}),
    _family("mobilevlm", "mobilevlm", _MOBILE, when={"mm_projector_type": "ldpnet"}),
    _family("mobilevlm-v2", "mobilevlm_v2", _MOBILE, when={"mm_projector_type": "ldpnetv2"}),
    _family("bunny", "bunny", *_BUNNY),
    _family(
        "tinyllava",
        "tinyllava",
        "TinyLlavaForConditionalGeneration",
        needs=("text_config", "vision_config", "connector_type"),
    ),
    # LlavaPhiForCausalLM is LLaVA-Phi's name too, which has a CLIP tower.
    _family("convllava", "convllava", _LLAVA[0], when={"mm_vision_tower": "(?i).*convnext.*"}),
    _family("vila", "vila", "LlavaLlamaModel", needs=_VILA),
    _family(
        "vila-llama-3",
        "vila_llama_3",
        "LlavaLlamaModel",
        when={"llm_cfg": r"(?s).*'rope_theta': 500000(\.0)?\b.*"},
        needs=_VILA,
    ),
    _family(
        "vila-40b",
        "vila_40b",
        "LlavaLlamaModel",
        when={"vision_tower_cfg": r"(?s).*'model_type': 'intern_vit_6b'.*"},
        needs=_VILA,
    ),
    _family("tinyllava-bench", "tinyllava_bench", *_TINY_BENCH, when=_SIGLIP),
    _family("mplug-owl2", "mplug_owl2", "MPLUGOwl2LlamaForCausalLM", needs=()),
    _family("deepseek-vl", "deepseek_vl", _DEEPSEEK, when=_ONE_TOWER, needs=_DEEPSEEK_NEEDS),
    _family(
        "deepseek-vl-hybrid",
        "deepseek_vl_hybrid",
        _DEEPSEEK,
        when=_TWO_TOWERS,
        needs=_DEEPSEEK_NEEDS,
    ),
)
