"""Fine-tunes that nobody has heard of, made of other families' parts in LLaVA's layout."""

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
    small_sizes,
)
from tests.families.checkpoints.convllava import convnext_tower
from tests.families.checkpoints.mobilevlm import ldp_projector
from tests.families.checkpoints.vila import INTERN_VIT, intern_tensors

__all__ = ["BUILDERS"]


def _mix(folder: Path, name: str, parts: tuple[State, ...], **changes: Any) -> None:
    state = {key: value for part in parts for key, value in part.items()}
    tiny.save_safetensors(folder, state)
    fields = {**small_sizes(vocab_size=640), "bos_token_id": 1, "eos_token_id": 2}
    flat = {**llava_config(_Sizes(fields), "", **changes)}
    flat.update(architectures=[name], model_type="something-new")
    tiny.write_json(folder / "config.json", flat)
    tiny.llama_tokenizer(folder, legacy=False)


class _Sizes:
    """What `llava_config` asks of a config."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.__dict__.update(fields)


def siglip_ldp_gemma(folder: Path) -> None:
    """SigLIP in its own folder, MobileVLM's projector, Gemma."""
    from transformers import GemmaConfig, GemmaForCausalLM

    tiny.siglip_tower(folder.parent / "siglip-tiny-mix", 501)
    changes = {"head_dim": 32, "hidden_act": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6}
    config = GemmaConfig(**small_sizes(vocab_size=640, **changes))
    state = tiny.draw_weights(GemmaForCausalLM(config), 502)
    state["model.embed_tokens.weight"] /= 6
    state = {key: value - 1 if "norm" in key else value for key, value in state.items()}
    changes |= {"mm_projector_type": "ldpnet", "mm_vision_tower": "someone/siglip-tiny-mix"}
    _mix(folder, "UnheardOfGemmaForCausalLM", (state, ldp_projector(503)), **changes)


def convnext_norm_qwen2(folder: Path) -> None:
    """ConvNeXt inside, Yi-VL's projector, Qwen2."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    vision = convnext_tower(folder.parent / "convnext-tiny-511", 511)
    state = tiny.draw_weights(Qwen2ForCausalLM(Qwen2Config(**small_sizes(vocab_size=640))), 512)
    changes = {
        "mm_projector_type": "mlp2x_gelu_Norm",
        "mm_vision_select_layer": -1,
        "mm_vision_tower": "/home/trainer/convnext-tiny-511",
        "rms_norm_eps": 1e-6,
    }
    parts = (state, mlp_projector(513, norm=True), tiny.image_tensors(vision))
    _mix(folder, "UnheardOfQwen2ForCausalLM", parts, **changes)


def intern_downsample_mistral(folder: Path) -> None:
    """InternViT inside, VILA's projector, Mistral."""
    from transformers import MistralConfig, MistralForCausalLM

    tower = folder.parent / "intern-tiny-521"
    tower.mkdir()
    tiny.write_json(tower / "config.json", INTERN_VIT)
    config = MistralConfig(**small_sizes(vocab_size=640, sliding_window=None))
    state = tiny.draw_weights(MistralForCausalLM(config), 522)
    width, name = 4 * TOWER_WIDTH, "model.mm_projector"
    projector = {
        f"{name}.1.weight": 1 + tiny.draw((width,), 523, 0.1),
        f"{name}.1.bias": tiny.draw((width,), 524, 0.1),
        f"{name}.2.weight": tiny.draw((WIDTH, width), 525, 1.5 / width**0.5),
        f"{name}.2.bias": tiny.draw((WIDTH,), 526, 0.1),
        f"{name}.4.weight": tiny.draw((WIDTH, WIDTH), 527, 2 / WIDTH**0.5),
        f"{name}.4.bias": tiny.draw((WIDTH,), 528, 0.1),
    }
    changes = {
        "mm_projector_type": "mlp_downsample",
        "mm_vision_tower": "intern-tiny-521",
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
    }
    parts = (state, projector, tiny.image_tensors(intern_tensors(5210)))
    _mix(folder, "UnheardOfMistralForCausalLM", parts, **changes)


BUILDERS: dict[str, Callable[[Path], None]] = {
    "mix-siglip-ldp-gemma": siglip_ldp_gemma,
    "mix-convnext-norm-qwen2": convnext_norm_qwen2,
    "mix-intern-downsample-mistral": intern_downsample_mistral,
}
