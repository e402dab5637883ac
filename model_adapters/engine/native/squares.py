"""Squares made in media workers for models whose own processor would make them in the server.

They reach the engine as 8-bit values, with what scales and normalises them beside them; that is
done there as transformers does it (image_processing_backends.py, `rescale_and_normalize`), so that
the tower sees the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from vllm.config import VllmConfig
from vllm.multimodal.inputs import MultiModalFieldConfig

from sensorium.model_adapters.engine.native.base import TakesPrepared
from sensorium.model_adapters.engine.prepared import PreparedImage
from sensorium.model_adapters.engine.prepared_inputs import Fields, RuledInputs
from sensorium.model_adapters.picture_rule import PictureRule
from sensorium.model_adapters.split_rule import SplitRule
from sensorium.model_adapters.square_rule import SquareRule

__all__ = [
    "NORMAL",
    "NormalisedInputs",
    "NormalisesSquares",
    "SquareInputs",
    "normalise",
    "normalised",
    "rule_of",
]

_PIXELS, NORMAL = ("pixel_values", "pixel_values_flat"), "pixel_normal"
# By Pillow's numbers.
_FILTERS = {1: "lanczos", 2: "bilinear", 3: "bicubic"}


def rule_of(image_processor: Any) -> PictureRule | None:
    """How one of Hugging Face's image processors makes squares; None where we know no rule."""
    read = _RULES.get(type(image_processor).__name__.removesuffix("Fast"))
    if read is None or not _whole(image_processor):
        return None
    return read(image_processor, _FILTERS[image_processor.resample])


def _square(made: Any, filtering: str) -> SquareRule | None:
    size = _given(made.size)
    [edge, *others] = {*size.values(), *(_given(made.crop_size).values() if _crops(made) else ())}
    if others:
        return None
    if set(size) == {"height", "width"}:
        return SquareRule("stretch", edge, (), filtering)
    cropped = set(size) == {"shortest_edge"} and _crops(made)
    return SquareRule("crop", edge, (), filtering) if cropped else None


def _crops(made: Any) -> bool:
    return bool(getattr(made, "do_center_crop", False))


def _tiles(made: Any, filtering: str) -> SquareRule | None:
    [edge, *others] = {*_given(made.size).values(), *_given(made.crop_size).values()}
    pinpoints = tuple((width, height) for height, width in made.image_grid_pinpoints)
    if others or any(side % edge for canvas in pinpoints for side in canvas):
        return None
    return SquareRule("tiles", edge, pinpoints, filtering)


def _panned(made: Any, filtering: str) -> SquareRule | None:
    return None if made.do_pan_and_scan else _square(made, filtering)


def _split(made: Any, filtering: str) -> SplitRule | None:
    size, square = _given(made.size), _given(made.max_image_size)
    if set(size) != {"longest_edge"} or set(square) != {"longest_edge"} or not made.do_pad:
        return None
    edges = size["longest_edge"], square["longest_edge"]
    return SplitRule(*edges, bool(made.do_image_splitting), filtering)


_RULES: Mapping[str, Callable[[Any, str], PictureRule | None]] = {
    "CLIPImageProcessor": _square,
    "SiglipImageProcessor": _square,
    "LlavaNextImageProcessor": _tiles,
    "Gemma3ImageProcessor": _panned,
    "Idefics3ImageProcessor": _split,
    "SmolVLMImageProcessor": _split,
}


def _whole(made: Any) -> bool:
    """Whether a processor takes all its steps, on three channels, with 8-bit values between."""
    steps = made.do_resize and made.do_rescale and made.do_normalize
    colours = len(made.image_mean) == len(made.image_std) == 3
    filtering = _FILTERS.get(made.resample)
    # Without vector instructions torchvision takes floating-point numbers for this one.
    whole = filtering != "bilinear" or "AVX" in torch.backends.cpu.get_cpu_capability()
    return bool(steps and colours and filtering and whole)


def _given(size: Any) -> dict[str, int]:
    return {name: value for name, value in dict(size or {}).items() if value is not None}


class NormalisedInputs(RuledInputs):
    """Goes before a processor of vLLM's whose 8-bit values the engine scales and normalises."""

    @cached_property
    def images(self) -> Any:
        """Hugging Face's image processor."""
        return self.info.get_hf_processor().image_processor

    @cached_property
    def normal(self) -> torch.Tensor:
        """Divisor, mean and standard deviation of pixels of 0 to 255, `[3, 3, 1, 1]`."""
        made = self.images
        fused = torch.tensor([made.image_mean, made.image_std]) * (1.0 / made.rescale_factor)
        return torch.cat([torch.ones(1, 3), fused])[:, :, None, None]


class SquareInputs(NormalisedInputs):
    """Goes before a processor of vLLM's whose pictures become squares.

    `pixels` and `counted` are its names for them and for how many a picture has, "" where it does
    not count them; then `tiled` says whether a picture has a dimension of squares, however few.
    """

    pixels: ClassVar[str] = _PIXELS[0]
    counted: ClassVar[str] = ""
    tiled: ClassVar[bool] = False

    def read_rule(self) -> PictureRule | None:
        """As Hugging Face's processor has it."""
        return rule_of(self.images)

    def prepared_fields(self, pictures: Sequence[PreparedImage]) -> Fields:
        """The squares as 8-bit values, and what normalises them."""
        each = MultiModalFieldConfig.batched("image")
        squares = [torch.from_numpy(picture.pixels) for picture in pictures]
        normal = {NORMAL: (each, [self.normal] * len(pictures))}
        if self.counted:
            kept = MultiModalFieldConfig.batched("image", keep_on_cpu=True)
            counts = [torch.tensor(len(picture.pixels)) for picture in pictures]
            flat = MultiModalFieldConfig.flat("image", [])
            return {self.pixels: (flat, squares), self.counted: (kept, counts), **normal}
        parts = squares if self.tiled else [square[0] for square in squares]
        return {self.pixels: (each, parts), **normal}


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
    normal = inputs.pop(NORMAL, None)
    if normal is None:
        return inputs
    for name in _PIXELS:
        pixels = inputs.get(name)
        if isinstance(pixels, torch.Tensor):
            inputs[name] = normalised(pixels, normal[0], dtype)
        elif pixels is not None:
            inputs[name] = [normalised(squares, normal[0], dtype) for squares in pixels]
    return inputs


def normalised(pixels: torch.Tensor, normal: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Scaled and normalised in single precision; `pixels` are `[..., 3, rows, columns]`."""
    divisor, mean, std = normal
    return pixels.to(torch.float32).div_(divisor).sub_(mean).div_(std).to(dtype)
