"""Parts of several families in one model, each as its own reference computes it.

Nothing of `sensorium` is imported here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tests.families.convllava_reference import ConvNext
from tests.families.reference import (
    Reference,
    State,
    load_vision,
    read_all,
    read_image_processor,
    read_tokenizer,
)
from tests.families.vila_reference import InternVit, downsampled

__all__ = ["MixReference"]

_TOWER = "model.vision_tower.vision_tower."
_INTERN_MEAN, _INTERN_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class MixReference(Reference):
    """LLaVA's flow: pad, the tower's processor, features, projector, language model."""

    def __init__(self, checkpoint: Path, tower: Path) -> None:
        self.raw: dict[str, Any] = json.loads((checkpoint / "config.json").read_text())
        vision: dict[str, Any] = json.loads((tower / "config.json").read_text())
        state = read_all(checkpoint)
        inside = _part(state, _TOWER)
        self.kind = str(vision["model_type"]).partition("_")[0]
        self.tokenizer = read_tokenizer(checkpoint)
        self.lm = self.language_model(
            {key: value for key, value in state.items() if not key.startswith(("model.mm", _TOWER))}
        )
        if self.kind == "convnext":
            self.tower: Any = ConvNext(vision["depths"], inside)
        elif self.kind == "intern":
            self.tower = InternVit(vision, inside)
        else:
            self.tower = _siglip(vision["vision_config"], read_all(tower))
        if self.kind != "intern":
            self.processor = read_image_processor(tower, siglip=self.kind == "siglip")
        self.projector = _part(state, "model.mm_projector.")
        self.newline = None

    def language_model(self, state: State) -> Any:
        """Gemma's table is scaled by transformers 5; the rest is as LLaVA's reference has it."""
        if "Gemma" not in self.raw["architectures"][0]:
            return super().language_model(state)
        import transformers

        kept = ("vocab", "hidden", "intermediate", "num_", "max_", "head_", "rms_", "tie_")
        fields = {key: value for key, value in self.raw.items() if key.startswith(kept)}
        config = transformers.GemmaConfig(**fields, attn_implementation="eager")
        model = transformers.GemmaForCausalLM(config).eval()
        model.load_state_dict(state)
        return model

    def pad_colour(self) -> tuple[int, ...]:
        """The mean colour, truncated."""
        mean = _INTERN_MEAN if self.kind == "intern" else self.processor.image_mean
        return tuple(int(x * 255) for x in mean)

    def pixels(self, picture: Image.Image) -> torch.Tensor:
        """InternViT has no processor of transformers'."""
        if self.kind != "intern":
            return super().pixels(picture)
        levels = torch.from_numpy(np.array(picture.resize((56, 56)))) / 255
        scaled = (levels - torch.tensor(_INTERN_MEAN)) / torch.tensor(_INTERN_STD)
        return scaled.permute(2, 0, 1)

    def see(self, pixels: torch.Tensor) -> torch.Tensor:
        """The layer before the last, without a class token where there is one."""
        if self.kind == "convnext":
            return self.tower(pixels)
        hidden: torch.Tensor = self.tower(pixels, output_hidden_states=True).hidden_states[-2]
        return hidden[:, 1:] if self.kind == "intern" else hidden

    def _project(self, pixels: torch.Tensor) -> torch.Tensor:
        if self.raw["mm_projector_type"] == "mlp_downsample":
            return downsampled(self.projector, self.see(pixels))
        return super()._project(pixels)

    def _features(self, image: bytes) -> torch.Tensor:
        """Gemma of transformers 4 scales all that it is given."""
        gemma = "Gemma" in self.raw["architectures"][0]
        return super()._features(image) * (self.raw["hidden_size"] ** 0.5 if gemma else 1.0)


def _part(state: State, prefix: str) -> State:
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }


def _siglip(fields: dict[str, Any], state: State) -> Any:
    import transformers

    config = transformers.SiglipVisionConfig(**fields, attn_implementation="eager")
    model = transformers.SiglipVisionModel(config).eval()
    load_vision(model, {name: value for name, value in state.items() if "vision_model" in name})
    return model
