"""The processors that MiniCPM-o's checkpoints bring with them, for sounds only.

vLLM has a processor of its own for these checkpoints; it takes the parts from this one.
"""

from __future__ import annotations

from typing import Any

from transformers import BaseImageProcessor, ProcessorMixin

__all__ = ["MiniCPMOProcessor", "MiniCPMVImageProcessor"]


class MiniCPMVImageProcessor(BaseImageProcessor):
    """Says how pictures would be cut; none is prepared by it."""

    model_input_names = ["pixel_values"]  # noqa: RUF012 (transformers' own name and kind)
    version = 2.6
    max_slice_nums = 9
    image_feature_size = 64

    def get_sliced_grid(self, image_size: tuple[int, int], max_slice_nums: int) -> None:
        """A picture is one piece."""


class MiniCPMOProcessor(ProcessorMixin):
    """Holds the parts."""

    def __init__(self, image_processor: Any, feature_extractor: Any, tokenizer: Any) -> None:
        super().__init__(image_processor, feature_extractor, tokenizer)
