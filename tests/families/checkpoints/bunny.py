"""Bunny v1.0."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.families import tiny
from tests.families.checkpoints.base import WIDTH, State, llava_config, mlp_projector

__all__ = ["BUILDERS"]


def _bunny(folder: Path, config: Any, state: State, seed: int, changes: dict[str, Any]) -> None:
    vision = tiny.siglip_tower(folder.parent / f"siglip-tiny-{seed}", seed, weights=False)
    tiny.save_safetensors(
        folder, {**state, **mlp_projector(seed + 1), **tiny.image_tensors(vision)}
    )
    flat = llava_config(config, f"google/siglip-tiny-{seed}")
    for key in ("mm_vision_select_layer", "mm_vision_select_feature", "rms_norm_eps"):
        del flat[key]
    flat.update(bos_token_id=0, eos_token_id=0, unfreeze_vision_tower=True, **changes)
    tiny.write_json(folder / "config.json", flat)
    tiny.qwen_tokenizer(folder)


def bunny_qwen(folder: Path) -> None:
    """Bunny on Qwen1.5: SigLIP inside, the vocabulary padded past the tokenizer's."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=704,
        hidden_size=WIDTH,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
    )
    state = tiny.draw_weights(Qwen2ForCausalLM(config), 62)
    changes = {
        "architectures": ["BunnyQwenForCausalLM"],
        "model_type": "bunny-qwen",
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
    }
    _bunny(folder, config, state, 61, changes)


def _phi_tensors(seed: int) -> State:
    """Tensors of a Bunny-phi language model.

    By their names, not from transformers' class: once an engine has run phi in this process, that
    class belongs to vLLM.
    """
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (704, WIDTH)}
    for layer in range(3):
        name = f"model.layers.{layer}"
        linears = {f"self_attn.{part}": (WIDTH, WIDTH) for part in ("q_proj", "k_proj", "v_proj")}
        linears |= {"self_attn.dense": (WIDTH, WIDTH)}
        linears |= {"mlp.fc1": (192, WIDTH), "mlp.fc2": (WIDTH, 192)}
        for part, shape in linears.items():
            shapes |= {f"{name}.{part}.weight": shape, f"{name}.{part}.bias": shape[:1]}
        shapes |= {f"{name}.input_layernorm.{kind}": (WIDTH,) for kind in ("weight", "bias")}
    shapes |= {f"model.final_layernorm.{kind}": (WIDTH,) for kind in ("weight", "bias")}
    shapes["lm_head.weight"] = (704, WIDTH)
    state = {}
    for number, (name, shape) in enumerate(shapes.items()):
        if len(shape) == 2:
            state[name] = tiny.draw(shape, seed + number, 1.5 / shape[1] ** 0.5)
        else:
            noise = tiny.draw(shape, seed + number, 0.1)
            state[name] = noise if name.endswith("bias") else 1 + noise
    return state


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
    state = _phi_tensors(7200)
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
}
