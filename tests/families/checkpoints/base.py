"""What the builders of tiny checkpoints share: LLaVA's config, its projector, a Llama."""

from __future__ import annotations

from typing import Any

import torch

from tests.families import tiny

__all__ = [
    "TOWER_WIDTH",
    "WIDTH",
    "State",
    "llava_config",
    "mlp_projector",
    "phi_tensors",
    "small_llama",
    "small_sizes",
    "trained_tower",
]

WIDTH = 128
TOWER_WIDTH = 64
State = dict[str, torch.Tensor]


def small_llama(seed: int, *, key_value_heads: int = 4, vocabulary: int = 640) -> tuple[Any, State]:
    """A Llama's config and tensors."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=key_value_heads,
        max_position_embeddings=2048,
        rms_norm_eps=1e-5,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=False,
    )
    return config, tiny.draw_weights(LlamaForCausalLM(config), seed)


def mlp_projector(seed: int, *, norm: bool = False, width: int = TOWER_WIDTH) -> State:
    """Two linear layers under the names that LLaVA gives them; Yi-VL's have a norm after each.

    `width` is that of the features.
    """
    second, norms = (3, (1, 4)) if norm else (2, ())
    name = "model.mm_projector"
    state = {
        f"{name}.0.weight": tiny.draw((WIDTH, width), seed, 1.0 / width**0.5),
        f"{name}.0.bias": tiny.draw((WIDTH,), seed + 1, 0.1),
        f"{name}.{second}.weight": tiny.draw((WIDTH, WIDTH), seed + 2, 1.0 / WIDTH**0.5),
        f"{name}.{second}.bias": tiny.draw((WIDTH,), seed + 3, 0.1),
    }
    for index in norms:
        state[f"{name}.{index}.weight"] = 1 + tiny.draw((WIDTH,), seed + 10 + index, 0.1)
        state[f"{name}.{index}.bias"] = tiny.draw((WIDTH,), seed + 20 + index, 0.1)
    return state


def llava_config(config: Any, tower: str, **changes: Any) -> dict[str, Any]:
    """The flat config.json of LLaVA-1.5; a change to None takes the key away."""
    flat: dict[str, Any] = {
        "architectures": ["LlavaLlamaForCausalLM"],
        "model_type": "llava",
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "freeze_mm_mlp_adapter": False,
        "hidden_act": "silu",
        "hidden_size": config.hidden_size,
        "image_aspect_ratio": "pad",
        "initializer_range": 0.02,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": 2048,
        "mm_hidden_size": TOWER_WIDTH,
        "mm_projector_type": "mlp2x_gelu",
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": -2,
        "mm_vision_tower": tower,
        "num_attention_heads": config.num_attention_heads,
        "num_hidden_layers": config.num_hidden_layers,
        "num_key_value_heads": config.num_key_value_heads,
        "pretraining_tp": 1,
        "rms_norm_eps": 1e-5,
        "rope_scaling": None,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "transformers_version": "4.31.0",
        "tune_mm_mlp_adapter": False,
        "use_cache": True,
        "use_mm_proj": True,
        "vocab_size": config.vocab_size,
    }
    flat.update(changes)
    return {key: value for key, value in flat.items() if value is not None or key == "rope_scaling"}


def trained_tower(vision: State, seed: int) -> State:
    """A tower unlike the published one, as training leaves it."""
    numbered = enumerate(vision.items())
    return {
        name: value + tiny.draw(tuple(value.shape), seed + 100 + number, 0.02)
        if value.is_floating_point()
        else value
        for number, (name, value) in numbered
    }


def small_sizes(**changes: Any) -> dict[str, Any]:
    """Fields of a small language model's config."""
    return {
        "vocab_size": 704,
        "hidden_size": WIDTH,
        "intermediate_size": 192,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
        **changes,
    }


def phi_tensors(seed: int) -> State:
    """Tensors of a phi language model, its head without bias.

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
