"""Bunny v1.0 and v1.1."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.families import tiny
from tests.families.checkpoints.base import (
    TOWER_WIDTH,
    WIDTH,
    State,
    llava_config,
    mlp_projector,
    phi_tensors,
    small_sizes,
)

__all__ = ["BUILDERS"]


def _bunny(folder: Path, config: Any, state: State, seed: int, changes: dict[str, Any]) -> None:
    vision = tiny.siglip_tower(folder.parent / f"siglip-tiny-{seed}", seed, weights=False)
    projector = mlp_projector(seed + 1, width=changes.get("mm_hidden_size", TOWER_WIDTH))
    tiny.save_safetensors(folder, {**state, **projector, **tiny.image_tensors(vision)})
    flat = llava_config(config, f"google/siglip-tiny-{seed}")
    for key in ("mm_vision_select_layer", "mm_vision_select_feature", "rms_norm_eps"):
        del flat[key]
    flat.update({"bos_token_id": 0, "eos_token_id": 0, "unfreeze_vision_tower": True, **changes})
    flat = {key: value for key, value in flat.items() if value is not None}
    tiny.write_json(folder / "config.json", flat)
    tiny.qwen_tokenizer(folder)


def _names(name: str) -> dict[str, Any]:
    """The names that Bunny gives to a language model."""
    return {
        "architectures": [f"Bunny{name}ForCausalLM"],
        "model_type": f"bunny-{name.lower()}",
    }


def bunny_qwen(folder: Path) -> None:
    """Bunny on Qwen1.5: SigLIP inside, the vocabulary padded past the tokenizer's."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(**small_sizes())
    state = tiny.draw_weights(Qwen2ForCausalLM(config), 62)
    changes = {"rms_norm_eps": 1e-6, "rope_theta": 1000000.0}
    _bunny(folder, config, state, 61, {**_names("Qwen"), **changes})


def bunny_phi3(folder: Path) -> None:
    """Bunny on phi-3, which stacks its projections in the checkpoint too."""
    from transformers import Phi3Config, Phi3ForCausalLM

    config = Phi3Config(**small_sizes(pad_token_id=0))
    state = tiny.draw_weights(Phi3ForCausalLM(config), 64)
    changes = {"rope_theta": 10000.0, "rms_norm_eps": 1e-5, "sliding_window": 2047}
    _bunny(folder, config, state, 63, {**_names("Phi3"), **changes})


def bunny_stablelm(folder: Path) -> None:
    """Bunny on StableLM-2, whose config has the keys of the authors' own code."""
    from transformers import StableLmConfig, StableLmForCausalLM

    config = StableLmConfig(**small_sizes(use_qkv_bias=True))
    state = tiny.draw_weights(StableLmForCausalLM(config), 66)
    changes = {"norm_eps": 1e-5, "rope_pct": 0.25, "rope_theta": 10000, "use_qkv_bias": True}
    _bunny(folder, config, state, 65, {**_names("StableLM"), **changes})


def bunny_minicpm(folder: Path) -> None:
    """Bunny on MiniCPM: embeddings, residuals and logits are scaled, the head is tied."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(**small_sizes(num_key_value_heads=4, tie_word_embeddings=True))
    state = tiny.draw_weights(LlamaForCausalLM(config), 68)
    # Twelve times as large once they are scaled.
    state["model.embed_tokens.weight"] = state.pop("lm_head.weight") / 6
    changes = {
        "rms_norm_eps": 1e-5,
        "scale_emb": 12,
        "scale_depth": 1.4,
        "dim_model_base": 32,
        "tie_word_embeddings": None,
    }
    _bunny(folder, config, state, 67, {**_names("MiniCPM"), **changes})


def bunny_s2(folder: Path) -> None:
    """Bunny v1.1 on Llama-3: one picture seen at three sizes, features side by side."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(**small_sizes())
    state = tiny.draw_weights(LlamaForCausalLM(config), 70)
    changes = {
        "rope_theta": 500000.0,
        "rms_norm_eps": 1e-5,
        "eos_token_id": 7,
        "use_s2": True,
        "s2_scales": "56,112,168",
        "mm_hidden_size": 3 * TOWER_WIDTH,
    }
    _bunny(folder, config, state, 69, {**_names("Llama"), **changes})


def bunny_phi(folder: Path) -> None:
    """Bunny on phi-2: a head without bias, partial rotary embedding."""
    from transformers import PhiConfig

    config = PhiConfig(
        vocab_size=704,
        hidden_size=WIDTH,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
    )
    state = phi_tensors(7200)
    changes = {
        "architectures": ["BunnyPhiForCausalLM"],
        "model_type": "bunny-phi",
        "hidden_act": "gelu_new",
        "layer_norm_eps": 1e-5,
        "partial_rotary_factor": 0.5,
        "rope_theta": 10000.0,
    }
    _bunny(folder, config, state, 71, changes)


BUILDERS: dict[str, Callable[[Path], None]] = {
    "bunny-qwen": bunny_qwen,
    "bunny-phi": bunny_phi,
    "bunny-phi3": bunny_phi3,
    "bunny-stablelm": bunny_stablelm,
    "bunny-minicpm": bunny_minicpm,
    "bunny-s2": bunny_s2,
}
