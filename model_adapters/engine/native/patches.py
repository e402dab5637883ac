"""Patches made in media workers for Qwen-VL's models, which take 8-bit values.

vLLM 0.32 has these towers scale and normalise (`mm_device_do_normalize`), while its processor, in
one thread of the server, resizes a picture, cuts it up and writes every patch twice, as a tower
that sees two frames at a time wants a still. Here the second copy is made in the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from vllm.multimodal.inputs import MultiModalFieldConfig

from sensorium.model_adapters.engine.native.base import TakesPrepared
from sensorium.model_adapters.engine.prepared import PreparedImage
from sensorium.model_adapters.engine.prepared_inputs import Fields, RuledInputs
from sensorium.model_adapters.patch_rule import PatchRule

__all__ = ["PIXELS", "PatchInputs", "SpreadsStills", "patch_rule_of", "spread_stills"]

PIXELS, _GRID, _STILL = "pixel_values", "image_grid_thw", "is_still"
_BICUBIC = 3
_KINDS = ("Qwen2VLImageProcessor", "Qwen2VLImageProcessorFast")


def patch_rule_of(image_processor: Any) -> PatchRule | None:
    """How one of Hugging Face's image processors cuts pictures; None where we know no rule."""
    made = image_processor
    if type(made).__name__ not in _KINDS or not made.do_resize or made.resample != _BICUBIC:
        return None
    size = made.size
    return PatchRule(made.patch_size, made.merge_size, size["shortest_edge"], size["longest_edge"])


class PatchInputs(RuledInputs):
    """Goes before a processor of vLLM's that calls Qwen-VL's."""

    options = frozenset({"min_pixels", "max_pixels"})

    def read_rule(self) -> PatchRule | None:
        """None where the tower does not normalise: then the processor makes the values."""
        if not self.info.ctx.get_mm_config().mm_device_do_normalize:
            return None
        return patch_rule_of(self.info.get_image_processor())

    def prepared_fields(self, pictures: Sequence[PreparedImage]) -> Fields:
        """The patches as 8-bit values `[patches, 3 * patch * patch]`, and how they lie.

        What is known to be still is never in one batch with what the processor made.
        """
        each = MultiModalFieldConfig.batched("image")
        kept = MultiModalFieldConfig.batched("image", keep_on_cpu=True)
        pixels = [torch.from_numpy(picture.pixels).flatten(1) for picture in pictures]
        return {
            PIXELS: (MultiModalFieldConfig.flat("image", []), pixels),
            _GRID: (kept, [self._grid(picture) for picture in pictures]),
            _STILL: (each, [torch.tensor(True)] * len(pictures)),
        }

    def _grid(self, picture: PreparedImage) -> torch.Tensor:
        """One frame, and the rows and columns of patches."""
        rule = self.rule
        assert isinstance(rule, PatchRule)  # by which the picture was prepared
        width, height = rule.seen(picture.size)
        return torch.tensor((1, height // rule.patch, width // rule.patch))


class SpreadsStills(TakesPrepared):
    """Goes before vLLM's class of a Qwen-VL: repeats a still for each frame that a patch has."""

    def tower_inputs(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """With patches as the tower takes them."""
        return spread_stills(inputs, self.config.vision_config)  # type: ignore[attr-defined]


def spread_stills(inputs: Mapping[str, Any], vision: Any) -> dict[str, Any]:
    """A model's inputs with its patches as its tower takes them, of which `vision` tells.

    `[patches, 3 * frames * area]` from `[patches, 3 * area]`.
    """
    inputs = dict(inputs)
    if inputs.pop(_STILL, None) is not None:
        pixels: torch.Tensor = inputs[PIXELS]
        colours = pixels.view(len(pixels), 3, 1, -1)
        inputs[PIXELS] = colours.expand(-1, -1, vision.temporal_patch_size, -1).flatten(1)
    return inputs
