"""Squares made in media workers for models whose own processor would make them in the server.

They reach the engine as 8-bit values, with what scales and normalises them beside them; that is
done there as transformers does it (image_processing_backends.py, `rescale_and_normalize`), so that
the tower sees the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from vllm.config import VllmConfig
from vllm.multimodal.inputs import MultiModalFieldConfig

from sensorium.model_adapters.engine.native.base import TakesPrepared
from sensorium.model_adapters.engine.prepared import PreparedImage
from sensorium.model_adapters.engine.prepared_inputs import Fields, PreparedInputs
from sensorium.model_adapters.square_rule import SquareRule

__all__ = ["NormalisesSquares", "SquareInputs", "normalise", "rule_of"]

_PIXELS, _NORMAL = "pixel_values", "pixel_normal"
_BICUBIC = 3
_CROPPED = ("CLIPImageProcessor", "CLIPImageProcessorFast")
_STRETCHED = ("SiglipImageProcessor", "SiglipImageProcessorFast")
_TILED = ("LlavaNextImageProcessor", "LlavaNextImageProcessorFast")


def rule_of(image_processor: Any) -> SquareRule | None:
    """How one of Hugging Face's image processors makes squares; None where we know no rule."""
    made, kind = image_processor, type(image_processor).__name__
    if kind not in (*_CROPPED, *_STRETCHED, *_TILED) or not _whole(made):
        return None
    size, crop = _given(made.size), _given(getattr(made, "crop_size", None))
    edges = {*size.values(), *(crop.values() if made.do_center_crop or kind in _TILED else ())}
    if len(edges) != 1:
        return None
    [edge] = edges
    if kind in _TILED:
        tiled = all(side % edge == 0 for canvas in made.image_grid_pinpoints for side in canvas)
        pinpoints = tuple((width, height) for height, width in made.image_grid_pinpoints)
        return SquareRule("tiles", edge, pinpoints) if tiled else None
    if set(size) == {"height", "width"}:
        return SquareRule("stretch", edge)
    cropped = set(size) == {"shortest_edge"} and made.do_center_crop
    return SquareRule("crop", edge) if cropped else None


def _whole(made: Any) -> bool:
    """Whether a processor takes all its steps, on three channels."""
    steps = made.do_resize and made.do_rescale and made.do_normalize
    colours = len(made.image_mean) == len(made.image_std) == 3
    return bool(steps and colours and made.resample == _BICUBIC)


def _given(size: Any) -> dict[str, int]:
    return {name: value for name, value in dict(size or {}).items() if value is not None}


class SquareInputs(PreparedInputs):
    """Goes before a processor of vLLM's that calls one of Hugging Face's for CLIP or SigLIP.

    `tiled`: a picture's pixels have a dimension of squares, however few there are.
    """

    tiled: ClassVar[bool] = False

    @cached_property
    def _images(self) -> Any:
        return self.info.get_hf_processor().image_processor

    @cached_property
    def recipe(self) -> str:  # type: ignore[override]
        """The rule by which Hugging Face's processor makes squares; "" where we know none."""
        rule = rule_of(self._images)
        return "" if rule is None else rule.recipe()

    @cached_property
    def _normal(self) -> torch.Tensor:
        """Mean and standard deviation of pixels of 0 to 255, `[2, 3, 1, 1]`."""
        made = self._images
        fused = torch.tensor([made.image_mean, made.image_std]) * (1.0 / made.rescale_factor)
        return fused[:, :, None, None]

    def prepared_fields(self, pictures: Sequence[PreparedImage]) -> Fields:
        """The squares as 8-bit values, and what normalises them."""
        each = MultiModalFieldConfig.batched("image")
        squares = [torch.from_numpy(picture.pixels) for picture in pictures]
        pixels = squares if self.tiled else [square[0] for square in squares]
        return {_PIXELS: (each, pixels), _NORMAL: (each, [self._normal] * len(pictures))}


class NormalisesSquares(TakesPrepared):
    """Goes before vLLM's class whose processor is a `SquareInputs`."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)  # type: ignore[call-arg]
        self.pixel_type = vllm_config.model_config.dtype

    def tower_inputs(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """With pixels as the tower takes them."""
        return normalise(inputs, self.pixel_type)


def normalise(inputs: Mapping[str, Any], dtype: torch.dtype) -> dict[str, Any]:
    """A model's inputs with their 8-bit squares as its tower takes them, in `dtype`."""
    inputs = dict(inputs)
    normal = inputs.pop(_NORMAL, None)
    if normal is not None:
        mean, std = normal[0]
        pixels = inputs[_PIXELS]
        if isinstance(pixels, torch.Tensor):
            inputs[_PIXELS] = _normalised(pixels, mean, std, dtype)
        else:
            inputs[_PIXELS] = [_normalised(squares, mean, std, dtype) for squares in pixels]
    return inputs


def _normalised(
    pixels: torch.Tensor, mean: torch.Tensor, std: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    return pixels.to(torch.float32).sub_(mean).div_(std).to(dtype)
