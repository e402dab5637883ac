"""MobileVLM v1 and V2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.families import tiny
from tests.families.checkpoints.base import TOWER_WIDTH, WIDTH, State, llava_config, small_llama

__all__ = ["BUILDERS", "ldp_projector"]


def ldp_projector(seed: int) -> State:
    """MobileVLM's LDP block: a mlp, then two depthwise blocks with squeeze and excitation."""
    name, half = "model.mm_projector.model", WIDTH // 4
    shapes: dict[str, tuple[int, ...]] = {
        "mlp.1.weight": (WIDTH, TOWER_WIDTH),
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
    tiny.save_bin(folder, {**state, **ldp_projector(43), **strays})
    changes: dict[str, Any] = {
        "architectures": ["MobileLlamaForCausalLM"],
        "model_type": "mobilevlm",
        "mm_projector_type": "ldpnet",
        "vision_tower_type": "clip",
    }
    tiny.write_json(
        folder / "config.json", llava_config(config, "openai/clip-tiny-mobile", **changes)
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
        f"{name}.mlp.mlp.0.weight": tiny.draw((WIDTH, TOWER_WIDTH), 53, 1 / TOWER_WIDTH**0.5),
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
        folder / "config.json", llava_config(config, "openai/clip-tiny-mobile2", **changes)
    )
    tiny.llama_tokenizer(folder, legacy=False)


BUILDERS: dict[str, Callable[[Path], None]] = {
    "mobilevlm": mobilevlm,
    "mobilevlm-v2": mobilevlm_v2,
}
