"""yuren and Nous-Hermes-2-Vision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.families import tiny
from tests.families.checkpoints.base import (
    TOWER_WIDTH,
    WIDTH,
    llava_config,
    mlp_projector,
    small_llama,
    small_sizes,
)

__all__ = ["BUILDERS"]
_TOKENS = ("<|im_start|>", "<|im_end|>", "<|img_patch|>", "<|img_start|>", "<|img_end|>")


def yuren(folder: Path) -> None:
    """LLaVA's first layout; the vocabulary filled up with rows that no token has."""
    tiny.clip_tower(folder.parent / "CLIP-ViT-tiny-DataComp", 481)
    config, state = small_llama(482, vocabulary=704)
    scale = 2 * TOWER_WIDTH**-0.5
    state["model.mm_projector.weight"] = tiny.draw((WIDTH, TOWER_WIDTH), 483, scale)
    state["model.mm_projector.bias"] = tiny.draw((WIDTH,), 484, 0.1)
    tiny.save_bin(folder, state, shards=3)
    absent = dict.fromkeys(
        (
            "mm_projector_type",
            "image_aspect_ratio",
            "mm_use_im_patch_token",
            "mm_use_im_start_end",
            "mm_vision_select_feature",
            "mm_vision_select_layer",
        )
    )
    flat = llava_config(
        config, "laion/CLIP-ViT-tiny-DataComp", model_type="multimodal_llama", **absent
    )
    flat["architectures"] = ["MultimodalLlamaForCausalLM"]
    tiny.write_json(folder / "config.json", flat)
    tiny.llama_tokenizer(folder, legacy=None)
    tiny.write_json(folder / "added_tokens.json", {t: 640 + n for n, t in enumerate(_TOKENS)})


def nous(folder: Path) -> None:
    """LLaVA-1.5 on Mistral; the tower in SigLIP's size as a CLIP."""
    from transformers import MistralConfig, MistralForCausalLM

    tiny.clip_tower(folder.parent / "ViT-tiny-SigLIP-384-hf", 491, image_size=70)
    config = MistralConfig(
        **small_sizes(vocab_size=640), bos_token_id=1, eos_token_id=2, pad_token_id=0
    )
    state = tiny.draw_weights(MistralForCausalLM(config), 492)
    tiny.save_bin(folder, {**state, **mlp_projector(493)})
    flat = llava_config(config, "ikala/ViT-tiny-SigLIP-384-hf", model_type="llava_mistral")
    flat["architectures"] = ["LlavaMistralForCausalLM"]
    tiny.write_json(folder / "config.json", flat)
    tiny.llama_tokenizer(folder, legacy=True)


BUILDERS: dict[str, Callable[[Path], None]] = {"yuren": yuren, "nous-hermes-2-vision": nous}
