"""How each family's configs are told from all others: one entry a family, read before any spec."""

from __future__ import annotations

from collections.abc import Mapping

from sensorium.model_adapters.registry import Entry

__all__ = ["ENTRIES"]


def _family(
    name: str, module: str, *architectures: str, when: Mapping[str, str] | None = None
) -> Entry:
    spec = f"sensorium.model_adapters.families.{module}:SPEC"
    return Entry(name, spec, architectures, when or {})


_LLAVA = ("LlavaLlamaForCausalLM", "LlavaMistralForCausalLM")
_MOBILE = "MobileLlamaForCausalLM"
_BUNNY = tuple(
    f"Bunny{name}ForCausalLM"
    for name in ("Qwen", "Qwen2", "Phi", "Phi3", "MiniCPM", "StableLM", "Llama")
)

ENTRIES = (
    # The catch-all: whatever is laid out as LLaVA is, under any architecture's name.
    _family("llava", "llava"),
    _family("llava-next", "llava_next", *_LLAVA, when={"image_aspect_ratio": "anyres"}),
    _family("yi-vl", "yi_vl", _LLAVA[0], when={"mm_projector_type": "mlp2x_gelu_Norm"}),
    _family("mobilevlm", "mobilevlm", _MOBILE, when={"mm_projector_type": "ldpnet"}),
    _family("mobilevlm-v2", "mobilevlm_v2", _MOBILE, when={"mm_projector_type": "ldpnetv2"}),
    _family("bunny", "bunny", *_BUNNY),
)
