"""A tiny random checkpoint of each family, in the layout its authors publish."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from tests.families import tiny

__all__ = ["BUILDERS", "WIDTH", "mlp_projector", "small_llama"]

WIDTH = 128
_TOWER_WIDTH = 64
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


def mlp_projector(seed: int, *, norm: bool = False) -> State:
    """Two linear layers under the names that LLaVA gives them; Yi-VL's have a norm after each."""
    second, norms = (3, (1, 4)) if norm else (2, ())
    name = "model.mm_projector"
    state = {
        f"{name}.0.weight": tiny.draw((WIDTH, _TOWER_WIDTH), seed, 1.0 / _TOWER_WIDTH**0.5),
        f"{name}.0.bias": tiny.draw((WIDTH,), seed + 1, 0.1),
        f"{name}.{second}.weight": tiny.draw((WIDTH, WIDTH), seed + 2, 1.0 / WIDTH**0.5),
        f"{name}.{second}.bias": tiny.draw((WIDTH,), seed + 3, 0.1),
    }
    for index in norms:
        state[f"{name}.{index}.weight"] = 1 + tiny.draw((WIDTH,), seed + 10 + index, 0.1)
        state[f"{name}.{index}.bias"] = tiny.draw((WIDTH,), seed + 20 + index, 0.1)
    return state


def _llama_config(config: Any, tower: str, **changes: Any) -> dict[str, Any]:
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
        "mm_hidden_size": _TOWER_WIDTH,
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


def llava_v1(folder: Path) -> None:
    """LLaVA v1 (2023): a linear projector and centre crop, both said by keys that are absent."""
    tiny.clip_tower(folder.parent / "clip-tiny-v1", 1)
    config, state = small_llama(2)
    state["model.mm_projector.weight"] = tiny.draw((WIDTH, _TOWER_WIDTH), 3, 1 / _TOWER_WIDTH**0.5)
    state["model.mm_projector.bias"] = tiny.draw((WIDTH,), 4, 0.1)
    for layer in range(3):
        name = f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"
        state[name] = tiny.draw((16,), 5)
    tiny.save_bin(folder, state, shards=1)
    absent = dict.fromkeys(("mm_projector_type", "image_aspect_ratio", "mm_vision_select_feature"))
    tiny.write_json(folder / "config.json", _llama_config(config, "someone/clip-tiny-v1", **absent))
    tiny.llama_tokenizer(folder, legacy=True)


def llava_v15(folder: Path) -> None:
    """LLaVA-1.5: the tower in its own repository, the projector written a second time."""
    tiny.clip_tower(folder.parent / "clip-tiny-v15", 11)
    config, state = small_llama(12)
    projector = mlp_projector(13)
    tiny.save_bin(folder, {**state, **projector})
    torch.save(projector, folder / "mm_projector.bin")
    tiny.write_json(folder / "config.json", _llama_config(config, "openai/clip-tiny-v15"))
    tiny.llama_tokenizer(folder, legacy=False)


def llava_inside(folder: Path) -> None:
    """A fine-tune with a trained tower in the checkpoint; of the tower's folder only the config."""
    vision = tiny.clip_tower(folder / "clip-tiny-inside", 21)
    (folder / "clip-tiny-inside" / "pytorch_model.bin").unlink()
    config, state = small_llama(22, key_value_heads=2)
    tiny.save_safetensors(folder, {**state, **mlp_projector(23), **tiny.image_tensors(vision)})
    flat = _llama_config(config, "/home/trainer/clip-tiny-inside", model_type="llava_llama")
    flat["architectures"] = ["SomeonesLlamaForCausalLM"]
    tiny.write_json(folder / "config.json", flat)
    tiny.llama_tokenizer(folder, legacy=False)


def yi_vl(folder: Path) -> None:
    """Yi-VL: norms in the projector, the tower in a sub-folder, no BOS."""
    tiny.clip_tower(folder / "vit" / "clip-tiny-448", 31)
    config, state = small_llama(32, key_value_heads=2)
    tiny.save_bin(folder, {**state, **mlp_projector(33, norm=True)})
    changes = {"mm_projector_type": "mlp2x_gelu_Norm"}
    tiny.write_json(folder / "config.json", _llama_config(config, "./vit/clip-tiny-448", **changes))
    tiny.llama_tokenizer(folder, legacy=True, bos=False)


def _ldp_projector(seed: int) -> State:
    """MobileVLM's LDP block: a mlp, then two depthwise blocks with squeeze and excitation."""
    name, half = "model.mm_projector.model", WIDTH // 4
    shapes: dict[str, tuple[int, ...]] = {
        "mlp.1.weight": (WIDTH, _TOWER_WIDTH),
        "mlp.1.bias": (WIDTH,),
        "mlp.3.weight": (WIDTH, WIDTH),
        "mlp.3.bias": (WIDTH,),
    }
    for index in (1, 2):
        block = f"mb_block.{index}.block"
        shapes |= {
            f"{block}.0.0.weight": (WIDTH, 1, 3, 3),
            f"{block}.0.1.weight": (WIDTH,),
            f"{block}.0.1.bias": (WIDTH,),
            f"{block}.1.fc1.weight": (half, WIDTH, 1, 1),
            f"{block}.1.fc1.bias": (half,),
            f"{block}.1.fc2.weight": (WIDTH, half, 1, 1),
            f"{block}.1.fc2.bias": (WIDTH,),
            f"{block}.2.0.weight": (WIDTH, WIDTH, 1, 1),
            f"{block}.2.1.weight": (WIDTH,),
            f"{block}.2.1.bias": (WIDTH,),
        }
    return {
        f"{name}.{key}": _fill(shape, seed + n) for n, (key, shape) in enumerate(shapes.items())
    }


def _fill(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    if len(shape) == 1:
        return 0.5 + tiny.draw(shape, seed, 0.2)
    return tiny.draw(shape, seed, 1.2 / (torch.Size(shape[1:]).numel()) ** 0.5)


def mobilevlm(folder: Path) -> None:
    """MobileVLM v1, with stray tower tensors inside that the authors' loader never reads."""
    tiny.clip_tower(folder.parent / "clip-tiny-mobile", 41)
    strays = tiny.image_tensors(tiny.clip_tower(None, 99))
    config, state = small_llama(42)
    tiny.save_bin(folder, {**state, **_ldp_projector(43), **strays})
    changes: dict[str, Any] = {
        "architectures": ["MobileLlamaForCausalLM"],
        "model_type": "mobilevlm",
        "mm_projector_type": "ldpnet",
        "vision_tower_type": "clip",
    }
    tiny.write_json(
        folder / "config.json", _llama_config(config, "openai/clip-tiny-mobile", **changes)
    )
    tiny.llama_tokenizer(folder, legacy=False)


def mobilevlm_v2(folder: Path) -> None:
    """MobileVLM v2: a grid of 24 pooled to 12, the tower inside and another one outside."""
    sizes = {"image_size": 96, "patch_size": 4}
    tiny.clip_tower(folder.parent / "clip-tiny-mobile2", 98, **sizes)
    inside = tiny.image_tensors(tiny.clip_tower(None, 51, **sizes))
    config, state = small_llama(52)
    name = "model.mm_projector"
    projector = {
        f"{name}.mlp.mlp.0.weight": tiny.draw((WIDTH, _TOWER_WIDTH), 53, 1 / _TOWER_WIDTH**0.5),
        f"{name}.mlp.mlp.0.bias": tiny.draw((WIDTH,), 54, 0.1),
        f"{name}.mlp.mlp.2.weight": tiny.draw((WIDTH, WIDTH), 55, 1 / WIDTH**0.5),
        f"{name}.mlp.mlp.2.bias": tiny.draw((WIDTH,), 56, 0.1),
        f"{name}.peg.peg.0.weight": tiny.draw((WIDTH, 1, 3, 3), 57, 0.3),
        f"{name}.peg.peg.0.bias": tiny.draw((WIDTH,), 58, 0.1),
    }
    tiny.save_bin(folder, {**state, **projector, **inside})
    changes: dict[str, Any] = {
        "architectures": ["MobileLlamaForCausalLM"],
        "model_type": "mobilevlm",
        "mm_projector_type": "ldpnetv2",
        "vision_tower_type": "clip",
    }
    tiny.write_json(
        folder / "config.json", _llama_config(config, "openai/clip-tiny-mobile2", **changes)
    )
    tiny.llama_tokenizer(folder, legacy=False)


def _bunny(folder: Path, config: Any, state: State, seed: int, changes: dict[str, Any]) -> None:
    vision = tiny.siglip_tower(folder.parent / f"siglip-tiny-{seed}", seed, weights=False)
    tiny.save_safetensors(
        folder, {**state, **mlp_projector(seed + 1), **tiny.image_tensors(vision)}
    )
    flat = _llama_config(config, f"google/siglip-tiny-{seed}")
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


def _next(folder: Path, seed: int, config: Any, state: State, **changes: Any) -> None:
    """LLaVA-1.6's parts: the tower inside, the newline vector, tiles of 56 pixels."""
    vision = tiny.clip_tower(folder.parent / f"clip-tiny-{folder.name}", seed)
    state = {**state, **mlp_projector(seed + 1), **tiny.image_tensors(_other(vision, seed))}
    state["model.image_newline"] = tiny.draw((WIDTH,), seed + 9)
    tiny.save_safetensors(folder, state)
    flat = _llama_config(config, f"openai/clip-tiny-{folder.name}", **changes)
    flat.update(
        image_aspect_ratio="anyres",
        image_grid_pinpoints=[[56, 112], [112, 56], [112, 112], [168, 56], [56, 168]],
        image_crop_resolution=224,
        mm_patch_merge_type="spatial_unpad",
        tokenizer_model_max_length=4096,
        unfreeze_mm_vision_tower=True,
    )
    tiny.write_json(folder / "config.json", flat)
    tiny.llama_tokenizer(folder, legacy=False)


def _other(vision: State, seed: int) -> State:
    """A tower unlike the published one, as training leaves it."""
    numbered = enumerate(vision.items())
    return {
        name: value + tiny.draw(tuple(value.shape), seed + 100 + number, 0.02)
        if value.is_floating_point()
        else value
        for number, (name, value) in numbered
    }


def llava_next(folder: Path) -> None:
    """LLaVA-1.6 on Vicuna."""
    config, state = small_llama(82)
    _next(folder, 81, config, state)


def llava_next_mistral(folder: Path) -> None:
    """LLaVA-1.6 on Mistral."""
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(
        vocab_size=640,
        hidden_size=WIDTH,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        rms_norm_eps=1e-5,
        sliding_window=None,
        tie_word_embeddings=False,
    )
    state = tiny.draw_weights(MistralForCausalLM(config), 92)
    changes = {"model_type": "llava_mistral", "rope_theta": 1000000.0}
    _next(folder, 91, config, state, architectures=["LlavaMistralForCausalLM"], **changes)
    raw = json.loads((folder / "config.json").read_text())
    tiny.write_json(folder / "config.json", {**raw, "sliding_window": None})


BUILDERS = {
    "llava-next": llava_next,
    "llava-next-mistral": llava_next_mistral,
    "llava-v1": llava_v1,
    "llava-v1.5": llava_v15,
    "llava-inside": llava_inside,
    "yi-vl": yi_vl,
    "mobilevlm": mobilevlm,
    "mobilevlm-v2": mobilevlm_v2,
    "bunny-qwen": bunny_qwen,
    "bunny-phi": bunny_phi,
}
