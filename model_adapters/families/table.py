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
    by_name: bool = False,
) -> Entry:
    """`module` is the spec's, and after a colon the spec's name in it where it is not SPEC."""
    file, _, spec = module.partition(":")
    path = f"sensorium.model_adapters.families.{file}:{spec or 'SPEC'}"
    return Entry(name, path, architectures, when or {}, needs, by_name)


_LLAVA = ("LlavaLlamaForCausalLM", "LlavaMistralForCausalLM")
_QWEN = "LlavaQwenForCausalLM"
_ANYRES = {"image_aspect_ratio": "anyres"}
_ANYRES_MAX = {"image_aspect_ratio": r"anyres_max_\d+"}
_SIGLIP = {"mm_vision_tower": ".*siglip.*"}
# What training with pooled frames writes into a config.
_POOLED = {**_ANYRES, "mm_resampler_type": "spatial_pool"}
_YI, _LLAMA_3 = {"vocab_size": r"64\d{3}"}, {"vocab_size": r"128\d{3}"}
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

# A text of its keys, to stand apart from moondream2's entry.
_FIRST_MOON = {"phi_config": ".*"}

_INTERN = {"mm_vision_tower": "(?i).*intern_?vit_?-?6b.*"}

ENTRIES = (
    # The catch-all: whatever is laid out as LLaVA is, under any architecture's name.
    _family("llava", "llava"),
    _family("llava-next", "llava_next", *_LLAVA, when=_ANYRES),
    _family("llava-next-34b", "llava_next_lms:YI_34B", _LLAVA[0], when={**_ANYRES, **_YI}),
    _family(
        "llava-next-llama3", "llava_next_lms:LLAMA_3_8B", _LLAVA[0], when={**_ANYRES, **_LLAMA_3}
    ),
    _family("llava-next-qwen", "llava_next_lms:QWEN", _QWEN, when=_ANYRES),
    _family("llava-next-video", "llava_next_video", *_LLAVA, when=_POOLED),
    _family(
        "llava-next-video-34b", "llava_next_video_lms:YI_34B", _LLAVA[0], when={**_POOLED, **_YI}
    ),
    _family("llava-next-video-qwen", "llava_next_video_lms:QWEN", _QWEN, when=_POOLED),
    _family("llava-interleave", "llava_interleave", _QWEN, when={**_ANYRES, **_SIGLIP}),
    # Aquila-VL was saved again under its language model's name.
    _family("llava-onevision", "llava_onevision", _QWEN, "Qwen2ForCausalLM", when=_ANYRES_MAX),
    _family(
        "llava-video",
        "llava_onevision:VIDEO",
        _QWEN,
        when={**_ANYRES_MAX, "add_time_instruction": "True"},
    ),
    _family("slowfast-llava", "slowfast_llava", _LLAVA[0], by_name=True),
    _family("slowfast-llava-34b", "slowfast_llava:YI_34B", _LLAVA[0], by_name=True),
    _family("sharegpt4video", "sharegpt4video", _LLAVA[0], by_name=True),
    _family("internvl-chat-1.0", "internvl_chat_v1", _LLAVA[0], when=_INTERN),
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
    _family("moondream1", "moondream1", "Moondream", when=_FIRST_MOON, needs=("phi_config",)),
    _family("moondream2", "moondream2", "Moondream", needs=("text_config",)),
    *(
        _family(
            f"moondream2-{date}",
            f"moondream2_spring:{spec}",
            "Moondream",
            needs=("phi_config",),
            by_name=True,
        )
        for date, spec in (
            ("2024-03-06", "MARCH_6"),
            ("2024-03-13", "MARCH_13"),
            ("2024-04-02", "APRIL_2"),
        )
    ),
    _family("qwen-vl", "qwen_vl", "QWenLMHeadModel", needs=("visual",)),
    _family("mplug-owl2", "mplug_owl2", "MPLUGOwl2LlamaForCausalLM", needs=()),
    # ByteDance's Valley-Eagle has its `model_type` too.
    _family("valley", "valley", "ValleyLlamaForCausalLM"),
    _family("video-llava", "video_llava", _LLAVA[0], needs=("mm_image_tower", "mm_video_tower")),
    # llava-hf's checkpoints, which vLLM serves, have other ids.
    _family("glamm", "glamm", "GLaMMForCausalLM"),
    _family("video-chatgpt", "video_chatgpt", "VideoChatGPTLlamaForCausalLM"),
    _family("ferret", "ferret", "FERRETLlamaForCausalLM"),
    _family(
        "yuren",
        "yuren",
        "MultimodalLlamaForCausalLM",
        when={"model_type": "multimodal_llama"},
    ),
    _family(
        "nous-hermes-2-vision",
        "nous_hermes_2_vision",
        _LLAVA[1],
        when={"mm_vision_tower": "(?i).*ikala.*siglip.*"},
    ),
    _family("u-llava", "u_llava", "UllavaForCausalLM", needs=("llm_config",)),
    _family(
        "mantis",
        "mantis",
        "LlavaForConditionalGeneration",
        when={"image_token_index": "128256", "pad_token_id": "128257"},
        needs=("text_config", "vision_config"),
    ),
    _family("deepseek-vl", "deepseek_vl", _DEEPSEEK, when=_ONE_TOWER, needs=_DEEPSEEK_NEEDS),
    _family(
        "deepseek-vl-hybrid",
        "deepseek_vl_hybrid",
        _DEEPSEEK,
        when=_TWO_TOWERS,
        needs=_DEEPSEEK_NEEDS,
    ),
)
