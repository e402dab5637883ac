"""moondream."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.families import tiny
from tests.families.checkpoints.base import WIDTH
from tests.families.checkpoints.timm import timm_shapes

__all__ = ["BUILDERS"]

_TOWER = 64
_VOCABULARY = 704


def _phi_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"transformer.embd.wte.weight": (_VOCABULARY, WIDTH)}
    for layer in range(3):
        name = f"transformer.h.{layer}"
        linears = {
            "mixer.Wqkv": (3 * WIDTH, WIDTH),
            "mixer.out_proj": (WIDTH, WIDTH),
            "mlp.fc1": (192, WIDTH),
            "mlp.fc2": (WIDTH, 192),
        }
        for part, shape in linears.items():
            shapes |= {f"{name}.{part}.weight": shape, f"{name}.{part}.bias": shape[:1]}
        shapes |= {f"{name}.ln.weight": (WIDTH,), f"{name}.ln.bias": (WIDTH,)}
    shapes |= {"lm_head.ln.weight": (WIDTH,), "lm_head.ln.bias": (WIDTH,)}
    shapes |= {"lm_head.linear.weight": (_VOCABULARY, WIDTH), "lm_head.linear.bias": (_VOCABULARY,)}
    return {f"text_model.{name}": shape for name, shape in shapes.items()}


def _save(folder: Path, seed: int, config: dict[str, Any], *, views: int, region: bool) -> None:
    projector = "vision_encoder.projection.mlp"
    shapes: dict[str, tuple[int, ...]] = {
        **timm_shapes("vision_encoder.encoder.model.visual.", grid=4, patch=14, linear=True),
        f"{projector}.fc1.weight": (4 * WIDTH, views * _TOWER),
        f"{projector}.fc1.bias": (4 * WIDTH,),
        f"{projector}.fc2.weight": (WIDTH, 4 * WIDTH),
        f"{projector}.fc2.bias": (WIDTH,),
        **_phi_shapes(),
    }
    if region:
        shapes["region_model.position_features.weight"] = (4, 2)
    tiny.save_safetensors(folder, tiny.draw_shapes(shapes, seed))
    tiny.qwen_tokenizer(folder)
    raw = {"architectures": ["Moondream"], "model_type": "moondream1", "torch_dtype": "float32"}
    tiny.write_json(folder / "config.json", {**raw, **config})
    settings = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
    tiny.write_json(
        folder / "tokenizer_config.json",
        {**settings, "unk_token": "<|endoftext|>", "add_prefix_space": False},
    )


def moondream1(folder: Path) -> None:
    """The first config class's names, half of each head turned."""
    phi = {
        "model_type": "phi-msft",
        "vocab_size": _VOCABULARY,
        "n_embd": WIDTH,
        "n_inner": 192,
        "n_layer": 3,
        "n_head": 4,
        "rotary_dim": 16,
    }
    _save(folder, 5100, {"phi_config": phi}, views=1, region=False)


def _later() -> dict[str, Any]:
    phi = {
        "model_type": "phi",
        "vocab_size": _VOCABULARY,
        "hidden_size": WIDTH,
        "intermediate_size": 192,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
    }
    return {"text_config": phi}


def moondream2_march(folder: Path) -> None:
    """The revisions of March and April 2024: later names under the first key."""
    _save(folder, 5700, {"phi_config": _later()["text_config"]}, views=1, region=False)


def moondream2_one_view(folder: Path) -> None:
    """The revision of 2024-05-08."""
    _save(folder, 5300, _later(), views=1, region=False)


def moondream2(folder: Path) -> None:
    """The revisions from 2024-05-20 on, with the region model of the last one."""
    _save(folder, 5500, _later(), views=2, region=True)


BUILDERS: dict[str, Callable[[Path], None]] = {
    "moondream1": moondream1,
    "moondream2-march": moondream2_march,
    "moondream2-one-view": moondream2_one_view,
    "moondream2": moondream2,
}
