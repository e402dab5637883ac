"""Ferret equals its authors' code on pictures and text; conversation: `ferret_v1`."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from tests.families.merged_reference import applied_delta
from tests.families.proof import LightProof, family_marks
from tests.families.reference import Reference

pytestmark = family_marks
SYSTEM = (
    "A chat between a human and an AI that understands visuals. In images, [x, y] denotes points: "
    "top-left [0, 0], bottom-right [width-1, height-1]. Increasing x moves right; y moves down. "
    "Bounding box: [x1, y1, x2, y2]. Image size: 1000x1000. Follow instructions. "
)


class FerretReference(Reference):
    """apple/ml-ferret: `do_center_crop=False, size=[336, 336]`, a Llama without its sampler."""

    def language_model(self, state: dict[str, torch.Tensor]) -> torch.nn.Module:
        """What reads regions left out."""
        self.tokenizer.add_tokens(["<region_fea>"], special_tokens=True)
        own = {k: v for k, v in state.items() if not k.startswith("model.region_geo_sampler.")}
        self.raw["architectures"] = ["LlavaLlamaForCausalLM"]
        model: torch.nn.Module = super().language_model(own)
        return model

    def pixels(self, picture: Image.Image) -> torch.Tensor:
        """The whole picture, squashed."""
        edge = self.processor.crop_size["height"]
        return super().pixels(picture.resize((edge, edge), Image.Resampling.BICUBIC))


class TestFerret(LightProof):
    """A delta; the tower in a folder of the checkpoint; tensors of regions left out."""

    checkpoint = "ferret-tiny-delta"
    prompt = f"{SYSTEM} USER: {{}} ASSISTANT:"

    @classmethod
    def read(cls, checkpoint: Path) -> Reference:
        """The delta applied."""
        whole = applied_delta(checkpoint, checkpoint.with_name("vicuna-tiny-v1-3"))
        return FerretReference(whole, checkpoint / "vision_tower", inside=False)
