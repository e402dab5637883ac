"""Relatives of LLaVA-1.5 under other names and on other language models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.families import tiny
from tests.families.checkpoints.base import (
    TOWER_WIDTH,
    WIDTH,
    llava_config,
    mlp_projector,
    small_llama,
)

__all__ = ["BUILDERS"]
_SIZES: dict[str, Any] = {
    "vocab_size": 640,
    "hidden_size": WIDTH,
    "intermediate_size": 192,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 2048,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


def share4v(folder: Path) -> None:
    """ShareGPT4V: LLaVA-1.5 under another architecture's name, with a tower trained for it."""
    name = "ShareTiny_Pretrained_vit-large336-l12"
    tiny.clip_tower(folder.parent / name, 401)
    config, state = small_llama(402)
    tiny.save_bin(folder, {**state, **mlp_projector(403)})
    flat = llava_config(config, f"Lin-Chen/{name}", model_type="share4v")
    flat["architectures"] = ["Share4VLlamaForCausalLM"]
    tiny.write_json(folder / "config.json", flat)
    tiny.llama_tokenizer(folder, legacy=False)


def bakllava(folder: Path) -> None:
    """BakLLaVA: Mistral with a sliding window."""
    from transformers import MistralConfig, MistralForCausalLM

    tiny.clip_tower(folder.parent / "clip-tiny-bak", 411)
    config = MistralConfig(
        **_SIZES, num_key_value_heads=2, sliding_window=4096, tie_word_embeddings=False
    )
    state = tiny.draw_weights(MistralForCausalLM(config), 412)
    tiny.save_bin(folder, {**state, **mlp_projector(413)})
    flat = llava_config(config, "openai/clip-tiny-bak", model_type="llava_mistral")
    flat.update(architectures=["LlavaMistralForCausalLM"], sliding_window=4096)
    tiny.write_json(folder / "config.json", flat)
    tiny.llama_tokenizer(folder, legacy=True)


def _chinese(folder: Path, seed: int, vocabulary: int) -> None:
    tiny.clip_tower(folder.parent / f"clip-tiny-{seed}", seed)
    config, state = small_llama(seed + 1, vocabulary=vocabulary)
    weight = tiny.draw((WIDTH, TOWER_WIDTH), seed + 2, TOWER_WIDTH**-0.5)
    state["model.mm_projector.weight"] = weight
    state["model.mm_projector.bias"] = tiny.draw((WIDTH,), seed + 3, 0.1)
    tiny.save_bin(folder, state, shards=1)
    absent = dict.fromkeys(("mm_projector_type", "image_aspect_ratio", "mm_vision_select_feature"))
    trained = {"mm_use_im_start_end": True, "mm_use_im_patch_token": True}
    flat = llava_config(config, f"openai/clip-tiny-{seed}", **absent, **trained)
    tiny.write_json(folder / "config.json", flat)
    tiny.llama_tokenizer(folder, legacy=None)


def chinese_llama_2(folder: Path) -> None:
    """Chinese-LLaVA on Llama-2; a tokenizer config from before `legacy`."""
    _chinese(folder, 431, 643)


def chinese_baichuan(folder: Path) -> None:
    """Chinese-LLaVA on Baichuan in Llama's layout, with rows beyond the tokenizer's."""
    _chinese(folder, 441, 648)


def glamm(folder: Path) -> None:
    """GLaMM: the tower and SAM's tensors inside, and of the projector's kind no word."""
    vision = tiny.clip_tower(folder / "clip-tiny-glamm", 451)
    (folder / "clip-tiny-glamm" / "pytorch_model.bin").unlink()
    config, state = small_llama(452, vocabulary=646)
    others = ("grounding_encoder.mask_decoder.a", "text_hidden_fcs.0.0", "region_encoder.roi.b")
    state |= {f"model.{name}.weight": tiny.draw((3, 3), 453) for name in others}
    tiny.save_bin(folder, {**state, **mlp_projector(454), **tiny.image_tensors(vision)})
    flat = llava_config(config, "openai/clip-tiny-glamm", mm_projector_type=None)
    flat.update(
        architectures=["GLaMMForCausalLM"], image_aspect_ratio="square", mm_use_im_start_end=True
    )
    tiny.write_json(folder / "config.json", flat)
    tiny.llama_tokenizer(folder, legacy=None)
    added = ("<im_start>", "<im_end>", "<bbox>", "[SEG]", "<p>", "</p>")
    tiny.write_json(folder / "added_tokens.json", {t: 640 + n for n, t in enumerate(added)})


BUILDERS: dict[str, Callable[[Path], None]] = {
    "share4v": share4v,
    "bakllava": bakllava,
    "glamm": glamm,
    "Chinese-LLaVA-Cllama2": chinese_llama_2,
    "Chinese-LLaVA-Baichuan": chinese_baichuan,
}
