"""Bunny as its authors compute it, where it differs from LLaVA.

From BAAI-DCAI/Bunny: bunny/model/language_model/ and bunny/util/s2wrapper/. Nothing of `sensorium`
is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torch.nn import functional

from tests.families.minicpm_reference import MiniCpmReference
from tests.families.reference import Reference, State

__all__ = ["BunnyReference", "S2Reference", "s2_features"]


class BunnyReference(Reference):
    """The language models that LLaVA has not."""

    def language_model(self, state: State) -> Any:
        """MiniCPM in plain torch, StableLM-2 by transformers' class under its own config keys."""
        name = self.raw["architectures"][0]
        own = {
            key: value
            for key, value in state.items()
            if not key.startswith(("model.mm_projector.", "model.vision_tower."))
        }
        if "MiniCPM" in name:
            return MiniCpmReference(self.raw, own)
        if "stablelm" not in name.lower():
            return super().language_model(state)
        import transformers

        kept = ("vocab", "hidden", "intermediate", "num_", "max_", "rope_theta", "use_qkv", "tie_")
        fields = {key: value for key, value in self.raw.items() if key.startswith(kept)}
        config = transformers.StableLmConfig(
            **fields,
            layer_norm_eps=self.raw["norm_eps"],
            partial_rotary_factor=self.raw["rope_pct"],
            attn_implementation="eager",
        )
        model = transformers.StableLmForCausalLM(config).eval()
        model.load_state_dict(own)
        return model


class S2Reference(BunnyReference):
    """`SiglipVisionTowerS2`."""

    def pixels(self, picture: Image.Image) -> torch.Tensor:
        """The picture at the largest scale."""
        edge = self._scales()[-1]
        done = self.processor(
            picture,
            size={"height": edge, "width": edge},
            return_tensors="pt",
            input_data_format="channels_last",
        )
        pixels: torch.Tensor = done["pixel_values"][0]
        return pixels

    def see(self, pixels: torch.Tensor) -> torch.Tensor:
        """`s2wrapper.forward` for one picture."""
        return s2_features(super().see, pixels, self._scales())

    def _scales(self) -> list[int]:
        return sorted(int(scale) for scale in self.raw["s2_scales"].split(","))


def s2_features(
    see: Callable[[torch.Tensor], torch.Tensor], pixels: torch.Tensor, scales: list[int]
) -> torch.Tensor:
    """`s2wrapper.forward` for one picture: every scale cut into chunks, merged, pooled."""
    maps = []
    for scale in scales:
        parts = scale // scales[0]
        resized = functional.interpolate(pixels, size=scale, mode="bicubic")
        rows = []
        for band in resized.chunk(parts, dim=2):
            cells = [see(cell) for cell in band.chunk(parts, dim=3)]
            rows.append(torch.cat([_to_map(cell) for cell in cells], dim=3))
        maps.append(torch.cat(rows, dim=2))
    size = maps[0].shape[-1]
    pooled = [functional.interpolate(one, size=size, mode="area") for one in maps]
    return torch.cat(pooled, dim=1).flatten(2).permute(0, 2, 1)


def _to_map(rows: torch.Tensor) -> torch.Tensor:
    edge = int(rows.shape[1] ** 0.5)
    return rows.permute(0, 2, 1).reshape(1, -1, edge, edge)
