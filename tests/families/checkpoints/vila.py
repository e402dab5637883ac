"""VILA-1.5: three sub-folders, each with a config and weights of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.families import tiny
from tests.families.checkpoints.base import TOWER_WIDTH, WIDTH, State, small_llama, small_sizes

__all__ = ["BUILDERS", "INTERN_VIT", "intern_tensors"]

# What transformers 4.36 writes into every config that lies inside another.
_PART: dict[str, Any] = {
    "_name_or_path": "./vlm/llm",
    "add_cross_attention": False,
    "bad_words_ids": None,
    "chunk_size_feed_forward": 0,
    "cross_attention_hidden_size": None,
    "decoder_start_token_id": None,
    "diversity_penalty": 0.0,
    "do_sample": False,
    "early_stopping": False,
    "finetuning_task": None,
    "forced_eos_token_id": None,
    "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
    "is_decoder": False,
    "is_encoder_decoder": False,
    "label2id": {"LABEL_0": 0, "LABEL_1": 1},
    "length_penalty": 1.0,
    "max_length": 20,
    "min_length": 0,
    "no_repeat_ngram_size": 0,
    "num_beam_groups": 1,
    "num_beams": 1,
    "num_return_sequences": 1,
    "output_attentions": False,
    "output_hidden_states": False,
    "output_scores": False,
    "prefix": None,
    "problem_type": None,
    "pruned_heads": {},
    "remove_invalid_values": False,
    "repetition_penalty": 1.0,
    "return_dict": True,
    "return_dict_in_generate": False,
    "sep_token_id": None,
    "suppress_tokens": None,
    "task_specific_params": None,
    "temperature": 1.0,
    "tf_legacy_loss": False,
    "tie_encoder_decoder": False,
    "tokenizer_class": None,
    "top_k": 50,
    "top_p": 1.0,
    "torch_dtype": "float32",
    "torchscript": False,
    "typical_p": 1.0,
    "use_bfloat16": False,
}
INTERN_VIT = {
    "architectures": ["InternVisionModel"],
    "drop_path_rate": 0.0,
    "hidden_act": "gelu",
    "hidden_size": TOWER_WIDTH,
    "image_size": 56,
    "intermediate_size": 128,
    "layer_norm_eps": 1e-6,
    "model_type": "intern_vit_6b",
    "num_attention_heads": 2,
    "num_hidden_layers": 3,
    "patch_size": 14,
    "qk_normalization": True,
    "qkv_bias": False,
}


def _vila(
    folder: Path, text: tuple[dict[str, Any], State], vision: dict[str, Any], **changes: Any
) -> None:
    """The language model, the projector and the configs; a builder adds the tower's weights."""
    fields, state = text
    parts = {
        "llm": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", **fields, **_PART},
        "vision_tower": {**vision, **_PART},
        "mm_projector": {
            "architectures": ["MultimodalProjector"],
            "mm_projector_type": "mlp_downsample",
            "model_type": "v2l_projector",
            **_PART,
        },
    }
    for name, config in parts.items():
        (folder / name).mkdir(exist_ok=True)
        tiny.write_json(folder / name / "config.json", config)
    tiny.save_bin(folder / "llm", state)
    width = 4 * TOWER_WIDTH * (2 if changes.get("s2") else 1)
    projector = {
        "layers.1.weight": 1 + tiny.draw((width,), 301, 0.1),
        "layers.1.bias": tiny.draw((width,), 302, 0.1),
        "layers.2.weight": tiny.draw((WIDTH, width), 303, 1.5 / width**0.5),
        "layers.2.bias": tiny.draw((WIDTH,), 304, 0.1),
        "layers.4.weight": tiny.draw((WIDTH, WIDTH), 305, 2 / WIDTH**0.5),
        "layers.4.bias": tiny.draw((WIDTH,), 306, 0.1),
    }
    tiny.save_safetensors(folder / "mm_projector", projector)
    flat = {
        "architectures": ["LlavaLlamaModel"],
        "hidden_size": WIDTH,
        "image_aspect_ratio": "resize",
        "interpolate_mode": "linear",
        "llm_cfg": parts["llm"],
        "mm_hidden_size": TOWER_WIDTH,
        "mm_projector_cfg": parts["mm_projector"],
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "mm_vision_select_feature": "cls_patch",
        "mm_vision_select_layer": -2,
        "model_dtype": "torch.float32",
        "model_type": "llava_llama",
        "resume_path": "./vlm",
        "tune_language_model": True,
        "vision_resolution": -1,
        "vision_tower_cfg": parts["vision_tower"],
        **changes,
    }
    tiny.write_json(folder / "config.json", flat)


def _siglip(folder: Path, seed: int) -> dict[str, Any]:
    """A tower of five by five patches; its config."""
    tiny.siglip_tower(folder / "vision_tower", seed, image_size=70)
    return {
        "architectures": ["SiglipVisionModel"],
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_size": TOWER_WIDTH,
        "image_size": 70,
        "intermediate_size": 128,
        "layer_norm_eps": 1e-6,
        "model_type": "siglip_vision_model",
        "num_attention_heads": 2,
        "num_hidden_layers": 3,
        "patch_size": 14,
    }


def _llama(seed: int) -> tuple[dict[str, Any], State]:
    config, state = small_llama(seed)
    fields = small_sizes(num_key_value_heads=4, vocab_size=640)
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    return {**fields, **ids, "rms_norm_eps": config.rms_norm_eps}, state


def vila(folder: Path) -> None:
    """3b: an odd grid of patches, sentencepiece whose files say `legacy` and whose loader not."""
    _vila(folder, _llama(311), _siglip(folder, 312))
    tiny.llama_tokenizer(folder / "llm", legacy=True)


def vila_s2(folder: Path) -> None:
    """3b-s2: two scales."""
    changes = {"s2": True, "s2_scales": "70,140", "s2_max_split_size": 70}
    _vila(folder, _llama(321), _siglip(folder, 322), **changes)
    tiny.llama_tokenizer(folder / "llm", legacy=False)


def vila_llama_3(folder: Path) -> None:
    """8B: a tokenizer that puts BOS before texts that begin with it."""
    from transformers import LlamaConfig, LlamaForCausalLM

    fields = small_sizes(rope_theta=500000.0, bos_token_id=1, eos_token_id=0, rms_norm_eps=1e-5)
    state = tiny.draw_weights(LlamaForCausalLM(LlamaConfig(**fields)), 331)
    _vila(folder, (fields, state), _siglip(folder, 332))
    # Says more end tokens than the config does.
    tiny.write_json(folder / "llm" / "generation_config.json", {"eos_token_id": [0, 9]})
    special = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|end_of_text|>")
    tiny.qwen_tokenizer(folder / "llm", bos="<|begin_of_text|>", special=special)


def intern_tensors(seed: int) -> State:
    """InternViT's tensors; gains of layers as large as training makes them."""
    width, wide = TOWER_WIDTH, 128
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.class_embedding": (1, 1, width),
        "embeddings.position_embedding": (1, 17, width),
        "embeddings.patch_embedding.weight": (width, 3, 14, 14),
        "embeddings.patch_embedding.bias": (width,),
    }
    for layer in range(3):
        name = f"encoder.layers.{layer}"
        shapes |= {
            f"{name}.attn.qkv.weight": (3 * width, width),
            f"{name}.attn.proj.weight": (width, width),
            f"{name}.attn.proj.bias": (width,),
            f"{name}.mlp.fc1.weight": (wide, width),
            f"{name}.mlp.fc1.bias": (wide,),
            f"{name}.mlp.fc2.weight": (width, wide),
            f"{name}.mlp.fc2.bias": (width,),
        }
        parts = ("attn.q_norm.weight", "attn.k_norm.weight", "norm1.weight", "norm2.weight")
        shapes |= {f"{name}.{part}": (width,) for part in (*parts, "ls1", "ls2")}
    state = {}
    for number, (name, shape) in enumerate(shapes.items()):
        if name.endswith(("norm.weight", "norm1.weight", "norm2.weight", "ls1", "ls2")):
            state[name] = 1 + tiny.draw(shape, seed + number, 0.1)
        else:
            fan_in = shape[-1] if len(shape) == 2 else 588 if len(shape) == 4 else 25
            state[name] = tiny.draw(shape, seed + number, 1.5 / fan_in**0.5)
    return state


def vila_40b(folder: Path) -> None:
    """40b: InternViT in two shards, ChatML, no BOS."""
    changes = {"mm_vision_select_feature": "patch", "mm_vision_select_layer": -1}
    _vila(folder, _llama(341), INTERN_VIT, **changes)
    tiny.save_bin(folder / "vision_tower", intern_tensors(3420))
    tiny.llama_tokenizer(folder / "llm", legacy=True, bos=False)


BUILDERS: dict[str, Callable[[Path], None]] = {
    "vila": vila,
    "vila-s2": vila_s2,
    "vila-llama-3": vila_llama_3,
    "vila-40b": vila_40b,
}
