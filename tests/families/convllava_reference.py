"""ConvLLaVA as its authors compute it.

From alibaba/conv-llava, llava/model/multimodal_encoder/convnext_encoder.py, and the blocks of
facebookresearch/ConvNeXt, models/convnext.py. Nothing of `sensorium` is imported here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from tests.families.reference import (
    Reference,
    State,
    read_all,
    read_image_processor,
    read_tokenizer,
)

__all__ = ["ConvLlavaReference", "ConvNext"]

_TOWER = "model.vision_tower.vision_tower."


class ConvLlavaReference(Reference):
    """`ConvNeXtCLIPVisionTower` in plain torch, the rest as in LLaVA."""

    def __init__(self, checkpoint: Path, tower: Path) -> None:
        self.raw: dict[str, Any] = json.loads((checkpoint / "config.json").read_text())
        vision: dict[str, Any] = json.loads((tower / "config.json").read_text())
        state = read_all(checkpoint)
        self.siglip = False
        self.tokenizer = read_tokenizer(checkpoint)
        self.lm = self.language_model(state)
        self.processor = read_image_processor(tower, siglip=False)
        self.tower = ConvNext(vision["depths"], _part(state, _TOWER))
        self.projector = _part(state, "model.mm_projector.")
        self.newline = None

    def see(self, pixels: torch.Tensor) -> torch.Tensor:
        """The last stage's output."""
        return self.tower(pixels)


class ConvNext:
    """A ConvNeXt over a state dict."""

    def __init__(self, depths: list[int], state: State) -> None:
        self.depths = depths
        self.state = state

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Features `[1, rows, width]`: stage after stage, each but the first halving the grid."""
        stem = "embeddings.patch_embeddings"
        x = functional.conv2d(
            pixels, self.state[f"{stem}.weight"], self.state[f"{stem}.bias"], stride=4
        )
        x = self._norm("embeddings.layernorm", x.permute(0, 2, 3, 1))
        for stage, depth in enumerate(self.depths):
            name = f"encoder.stages.{stage}"
            if stage:
                x = self._norm(f"{name}.downsampling_layer.0", x).permute(0, 3, 1, 2)
                weight = self.state[f"{name}.downsampling_layer.1.weight"]
                bias = self.state[f"{name}.downsampling_layer.1.bias"]
                x = functional.conv2d(x, weight, bias, stride=2).permute(0, 2, 3, 1)
            for layer in range(depth):
                x = x + self._block(f"{name}.layers.{layer}", x)
        return x.reshape(x.shape[0], -1, x.shape[3])

    def _block(self, name: str, x: torch.Tensor) -> torch.Tensor:
        weight, bias = self.state[f"{name}.dwconv.weight"], self.state[f"{name}.dwconv.bias"]
        y = functional.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=3, groups=len(weight))
        y = self._norm(f"{name}.layernorm", y.permute(0, 2, 3, 1))
        y = functional.gelu(self._linear(f"{name}.pwconv1", y))
        return self.state[f"{name}.layer_scale_parameter"] * self._linear(f"{name}.pwconv2", y)

    def _linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def _norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        weight = self.state[f"{name}.weight"]
        return functional.layer_norm(x, weight.shape, weight, self.state[f"{name}.bias"], 1e-6)


def _part(state: State, prefix: str) -> State:
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }
