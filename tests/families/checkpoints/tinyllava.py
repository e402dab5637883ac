"""TinyLLaVA: the Factory's layout, and the older one of LLaVA."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.families import tiny
from tests.families.checkpoints.base import (
    TOWER_WIDTH,
    WIDTH,
    State,
    llava_config,
    mlp_projector,
    phi_tensors,
    small_llama,
    small_sizes,
)

__all__ = ["BUILDERS"]

_VISION = {
    "attention_dropout": 0.0,
    "hidden_act": "gelu_pytorch_tanh",
    "hidden_size": TOWER_WIDTH,
    "image_size": 56,
    "intermediate_size": 128,
    "layer_norm_eps": 1e-6,
    "model_type": "siglip_vision_model",
    "num_attention_heads": 2,
    "num_hidden_layers": 3,
    "patch_size": 14,
}


def _factory(folder: Path, seed: int, text: dict[str, Any], state: State) -> None:
    """Three parts with prefixes of their own, the text's config only partly written."""
    vision = tiny.siglip_tower(folder.parent / f"siglip-tiny-{seed}", seed, weights=False)
    projector = mlp_projector(seed + 1)
    tiny.save_safetensors(
        folder,
        {
            **{f"language_model.{name}": value for name, value in state.items()},
            **{f"vision_tower._vision_tower.{name}": value for name, value in vision.items()},
            **{
                name.replace("model.mm_projector", "connector._connector"): value
                for name, value in projector.items()
            },
        },
    )
    flat = {
        "architectures": ["TinyLlavaForConditionalGeneration"],
        "cache_dir": None,
        "connector_type": "mlp2x_gelu",
        "hidden_size": WIDTH,
        "ignore_index": -100,
        "image_aspect_ratio": "square",
        "image_token_index": -200,
        "llm_model_name_or_path": "someone/language-model",
        "model_type": "tinyllava",
        "num_queries": 128,
        "num_resampler_layers": 3,
        "pad_token": "<|endoftext|>",
        "resampler_hidden_size": 768,
        "text_config": text,
        "tokenizer_model_max_length": 3072,
        "tokenizer_padding_side": "right",
        "tokenizer_use_fast": False,
        "torch_dtype": "float32",
        "tune_type_connector": "full",
        "vision_config": {**_VISION, "model_name_or_path2": ""},
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "patch",
        "vision_hidden_size": TOWER_WIDTH,
        "vocab_size": text["vocab_size"],
    }
    tiny.write_json(folder / "config.json", flat)


def _text(model_type: str, **changes: Any) -> dict[str, Any]:
    fields = {"model_type": model_type, "bos_token_id": 0, "eos_token_id": 0}
    return {**fields, **small_sizes(), **changes}


def tinyllava_phi(folder: Path) -> None:
    """On phi-2: a bias in the head, which Bunny's phi lacks; padding rows stay in the softmax."""
    state = phi_tensors(7300)
    state["lm_head.bias"] = tiny.draw((704,), 7299, 0.5)
    text = _text("phi", hidden_act="gelu_new", partial_rotary_factor=0.4, layer_norm_eps=1e-5)
    del text["num_key_value_heads"]
    _factory(folder, 111, text, state)
    tiny.qwen_tokenizer(folder)


def tinyllava_gemma(folder: Path) -> None:
    """On Gemma: embeddings scaled by the root of the width, a tied head, BOS."""
    from transformers import GemmaConfig, GemmaForCausalLM

    text = _text("gemma", head_dim=32, num_key_value_heads=1)
    del text["tie_word_embeddings"]
    state = tiny.draw_weights(GemmaForCausalLM(GemmaConfig(**text)), 122)
    state["model.embed_tokens.weight"] = state.pop("lm_head.weight") / 6
    for name in state:
        if "norm" in name:  # Gemma adds one
            state[name] = state[name] - 1
    _factory(folder, 121, text, state)
    tiny.qwen_tokenizer(folder, bos="<bos>")


def tinyllava_qwen2(folder: Path) -> None:
    """On Qwen2-0.5B: the head is tied and lies in the checkpoint all the same."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    text = _text("qwen2", tie_word_embeddings=True, rope_theta=1000000.0)
    state = tiny.draw_weights(Qwen2ForCausalLM(Qwen2Config(**text)), 132)
    state["model.embed_tokens.weight"] = state["lm_head.weight"].clone()
    _factory(folder, 131, text, state)
    tiny.qwen_tokenizer(folder)


def tinyllava_llama(folder: Path) -> None:
    """On TinyLlama: sentencepiece."""
    config, state = small_llama(142, key_value_heads=2)
    text = {**_text("llama", vocab_size=640), "bos_token_id": 1, "eos_token_id": 2}
    text["rms_norm_eps"] = config.rms_norm_eps
    _factory(folder, 141, text, state)
    tiny.llama_tokenizer(folder, legacy=False)


def tinyllava_bench(folder: Path) -> None:
    """The older layout on StableLM-2; stray tower tensors that the authors' loader never reads."""
    from transformers import StableLmConfig, StableLmForCausalLM

    config = StableLmConfig(**small_sizes(use_qkv_bias=True))
    state = tiny.draw_weights(StableLmForCausalLM(config), 152)
    vision = tiny.siglip_tower(folder.parent / "siglip-tiny-151", 151)
    strays = {name: torch.zeros_like(value) for name, value in tiny.image_tensors(vision).items()}
    tiny.save_safetensors(folder, {**state, **mlp_projector(153), **strays})
    changes = {
        "architectures": ["TinyLlavaStablelmForCausalLM"],
        "model_type": "tiny_llava_stablelm",
        "rms_norm_eps": None,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "norm_eps": 1e-5,
        "rope_pct": 0.25,
        "rope_theta": 10000,
        "use_qkv_bias": True,
    }
    flat = llava_config(config, "bczhou/siglip-tiny-151", **changes)
    tiny.write_json(folder / "config.json", flat)
    tiny.qwen_tokenizer(folder)


BUILDERS: dict[str, Callable[[Path], None]] = {
    "tinyllava-phi": tinyllava_phi,
    "tinyllava-gemma": tinyllava_gemma,
    "tinyllava-qwen2": tinyllava_qwen2,
    "tinyllava-llama": tinyllava_llama,
    "tinyllava-bench": tinyllava_bench,
}
