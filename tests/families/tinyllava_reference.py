"""TinyLLaVA as its authors compute it.

From TinyLLaVA/TinyLLaVA_Factory: tinyllava/model/, tinyllava/data/image_preprocess.py. Nothing of
`sensorium` is imported here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from tests.families.phi_reference import PhiReference
from tests.families.reference import (
    Reference,
    State,
    load_vision,
    read_all,
    read_image_processor,
    read_tokenizer,
)

__all__ = ["TinyLlavaReference"]


class TinyLlavaReference(Reference):
    """`TinyLlavaForConditionalGeneration`; `tower` holds the image processor's config."""

    def __init__(self, checkpoint: Path, tower: Path) -> None:
        config: dict[str, Any] = json.loads((checkpoint / "config.json").read_text())
        state = read_all(checkpoint)
        self.text = config["text_config"]
        self.raw = {
            "eos_token_id": self.text["eos_token_id"],
            "image_aspect_ratio": config["image_aspect_ratio"],
            "mm_projector_type": config["connector_type"],
        }
        self.tokenizer = read_tokenizer(checkpoint)
        self.lm = self.language_model(_part(state, "language_model."))
        self.tower = _tower(config["vision_config"], _part(state, "vision_tower._vision_tower."))
        self.processor = read_image_processor(tower, siglip=True)
        self.projector = _part(state, "connector._connector.")
        self.newline = None

    def language_model(self, state: State) -> Any:
        """transformers' class under class defaults for what `text_config` leaves out."""
        import transformers

        if self.text["model_type"] == "phi":
            return PhiReference({"rope_theta": 10000.0, **self.text}, state)
        name = {"gemma": "Gemma", "qwen2": "Qwen2", "llama": "Llama"}[self.text["model_type"]]
        config = getattr(transformers, f"{name}Config")(**self.text, attn_implementation="eager")
        model = getattr(transformers, f"{name}ForCausalLM")(config).eval()
        outcome = model.load_state_dict(state, strict=False)
        assert not outcome.unexpected_keys
        assert set(outcome.missing_keys) <= {"lm_head.weight"}
        model.tie_weights()
        return model

    def see(self, pixels: torch.Tensor) -> torch.Tensor:
        """`hidden_states[-2][:, 1:]`, although SigLIP has no class token."""
        features: torch.Tensor = self.tower(pixels, output_hidden_states=True).hidden_states[-2]
        return features[:, 1:]

    def _features(self, image: bytes) -> torch.Tensor:
        """Gemma of transformers 4 scales all that it is given; that of 5 only its own table."""
        scale = self.text["hidden_size"] ** 0.5 if self.text["model_type"] == "gemma" else 1.0
        return super()._features(image) * scale


def _part(state: State, prefix: str) -> State:
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }


def _tower(fields: dict[str, Any], state: State) -> Any:
    import transformers

    config = transformers.SiglipVisionConfig(**fields, attn_implementation="eager")
    model = transformers.SiglipVisionModel(config).eval()
    load_vision(model, state)
    return model
