"""Mantis: Hugging Face's layout of LLaVA."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.families import tiny
from tests.families.checkpoints.base import TOWER_WIDTH, mlp_projector, small_llama

__all__ = ["BUILDERS"]

_SPECIAL = ("<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>")
_VISION = {
    "hidden_size": TOWER_WIDTH,
    "image_size": 56,
    "intermediate_size": 128,
    "model_type": "siglip_vision_model",
    "num_attention_heads": 2,
    "num_hidden_layers": 3,
    "patch_size": 14,
}


def mantis_siglip(folder: Path) -> None:
    """On Llama-3, with SigLIP inside; ids of the real vocabulary's end in the config."""
    vision = tiny.siglip_tower(folder.parent / "siglip-tiny-501", 501, weights=False)
    config, state = small_llama(502, key_value_heads=2, vocabulary=704)
    projector = {
        name.replace("model.mm_projector.0", "multi_modal_projector.linear_1").replace(
            "model.mm_projector.2", "multi_modal_projector.linear_2"
        ): value
        for name, value in mlp_projector(503).items()
    }
    language_model = {f"language_model.{name}": value for name, value in state.items()}
    tower = {f"vision_tower.{name}": value for name, value in vision.items()}
    tiny.save_safetensors(folder, {**language_model, **tower, **projector})
    text = {
        "architectures": ["LlamaForCausalLM"],
        "bos_token_id": 0,
        "eos_token_id": 1,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": 2048,
        "model_type": "llama",
        "num_attention_heads": 4,
        "num_hidden_layers": 3,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "vocab_size": 704,
    }
    flat = {
        "architectures": ["LlavaForConditionalGeneration"],
        "ignore_index": -100,
        "image_token_index": 128256,
        "model_type": "llava",
        "pad_token_id": 128257,
        "projector_hidden_act": "gelu",
        "text_config": text,
        "torch_dtype": "float32",
        "vision_config": _VISION,
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
    }
    tiny.write_json(folder / "config.json", flat)
    tiny.qwen_tokenizer(folder, bos="<|begin_of_text|>", special=_SPECIAL)


BUILDERS: dict[str, Callable[[Path], None]] = {"mantis-siglip": mantis_siglip}
