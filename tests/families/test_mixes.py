"""Fine-tunes that nobody has heard of: every known tower, projector and language model together."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from sensorium.model_adapters.inspection import inspect_checkpoint

TOWERS: dict[str, dict[str, Any]] = {
    "clip": {"model_type": "clip_vision_model", "image_size": 224, "patch_size": 14},
    "siglip": {"model_type": "siglip_vision_model", "image_size": 384, "patch_size": 14},
    "convnext": {"model_type": "convnext", "image_size": 768, "depths": [3, 3, 27, 3]},
    "intern_vit": {"model_type": "intern_vit_6b", "image_size": 448},
}
# A tower's features become how many tokens; LDP halves the grid, LDPv2 makes 144 of any.
TOKENS = {
    "clip": (256, 64),
    "siglip": (729, 196),
    "convnext": (576, 144),
    "intern_vit": (1024, 256),
}
PROJECTORS = {
    "linear": 0,
    "mlp2x_gelu": 0,
    "mlp3x_gelu": 0,
    "mlp2x_gelu_Norm": 0,
    "ldpnet": 1,
    "mlp_downsample": 1,
    "ldpnetv2": 2,
}
LANGUAGE_MODELS = {
    "SomeonesLlavaLlamaForCausalLM": "LlamaForCausalLM",
    "LlavaMixedMistralForCausalLM": "MistralForCausalLM",
    "NewQwen2ForCausalLM": "Qwen2ForCausalLM",
    "MyGemmaForCausalLM": "GemmaForCausalLM",
    "TheirPhiForCausalLM": "PhiForCausalLM",
    "OurPhi3ForCausalLM": "Phi3ForCausalLM",
    "AnotherStableLMForCausalLM": "StableLmForCausalLM",
    "OneMiniCPMForCausalLM": "MiniCPMForCausalLM",
}
MIXES = list(itertools.product(TOWERS, PROJECTORS, LANGUAGE_MODELS))


@pytest.mark.parametrize(("tower", "projector", "architecture"), MIXES)
def test_every_mix_is_understood(
    tower: str, projector: str, architecture: str, tmp_path: Path
) -> None:
    (tmp_path / "tower").mkdir()
    (tmp_path / "tower" / "config.json").write_text(json.dumps(TOWERS[tower]))
    config = {
        "architectures": [architecture],
        "model_type": "something-new",
        "hidden_size": 256,
        "image_aspect_ratio": "pad",
        "mm_projector_type": projector,
        "mm_vision_select_layer": -1,
        "mm_vision_tower": "someone/tower",
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    names = ["model.layers.0.mlp.up_proj.weight", "lm_head.weight", "model.mm_projector.0.weight"]
    index = {"metadata": {"total_size": 9}, "weight_map": dict.fromkeys(names, "w.bin")}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    found = inspect_checkpoint(tmp_path)
    assert (found.family, found.tower_kind) == ("llava", tower)
    assert found.language_model == LANGUAGE_MODELS[architecture]
    assert found.image_tokens["640x480"] == (*TOKENS[tower], 144)[PROJECTORS[projector]]
    assert found.placed == {"language_model": 2, "projector": 1}
    assert not found.certain
    assert not found.unknown
