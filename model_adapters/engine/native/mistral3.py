"""Mistral-3: norm, unfold and concatenation of all images as one gather."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from vllm.config import VllmConfig
from vllm.model_executor.models.mistral3 import (
    Mistral3DummyInputsBuilder,
    Mistral3ForConditionalGeneration,
    Mistral3MultiModalProcessor,
    Mistral3MultiModalProjector,
    Mistral3ProcessingInfo,
)
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.inputs import MultiModalFieldConfig

from sensorium.kernels.fold import unfold_to_squares
from sensorium.kernels.gather_norm import gather_norm
from sensorium.kernels.plans import grids
from sensorium.model_adapters.engine.native.base import MergedInput
from sensorium.model_adapters.engine.prepared import PreparedImage
from sensorium.model_adapters.engine.prepared_inputs import Fields, RuledInputs
from sensorium.model_adapters.multiples_rule import MultiplesRule

__all__ = ["GatheringProjector", "Mistral3"]

_BICUBIC = 3


class GatheringProjector(Mistral3MultiModalProjector):
    """The same parameters, the merger's columns in the order of gathered squares."""

    def forward(
        self, image_features: torch.Tensor, image_sizes: list[tuple[int, int]]
    ) -> torch.Tensor:
        """`[tokens, hidden]` from the rows of all images `[rows, width]`; sizes are in pixels."""
        merger, norm = self.patch_merger, self.norm
        sizes = tuple((h // merger.patch_size, w // merger.patch_size) for h, w in image_sizes)
        index = grids(sizes, merger.spatial_merge_size, image_features.device)
        squares = gather_norm(
            image_features, index, norm.weight, norm="rms", eps=norm.variance_epsilon, each=True
        )
        hidden, _ = self.linear_1(merger.merging_layer(squares))
        out: torch.Tensor
        out, _ = self.linear_2(self.act(hidden))
        return out

    def reorder(self) -> None:
        """Bring the merger's columns from the order of `unfold`, in which they are published."""
        merger = self.patch_merger
        weight = merger.merging_layer.weight
        weight.data.copy_(unfold_to_squares(weight.data, merger.spatial_merge_size))


class _Mistral3Inputs(RuledInputs, Mistral3MultiModalProcessor):
    """A picture each, of its own size; vLLM's tower normalises it."""

    def read_rule(self) -> MultiplesRule | None:
        """None where the tower does not normalise: then the processor makes the values."""
        processor = self.info.get_hf_processor()
        made = processor.image_processor
        longest = dict(made.size).get("longest_edge")
        known = made.do_resize and made.resample == _BICUBIC
        if not (longest and known and self.info.ctx.get_mm_config().mm_device_do_normalize):
            return None
        # The processor gives the other one this step, whatever its own is.
        return MultiplesRule(longest, processor.patch_size * processor.spatial_merge_size)

    def prepared_fields(self, pictures: Sequence[PreparedImage]) -> Fields:
        """The pictures as 8-bit values `[3, rows, columns]`."""
        each = MultiModalFieldConfig.batched("image")
        pixels = [torch.from_numpy(picture.pixels[0]) for picture in pictures]
        return {"pixel_values": (each, pixels)}


@MULTIMODAL_REGISTRY.register_processor(
    _Mistral3Inputs, info=Mistral3ProcessingInfo, dummy_inputs=Mistral3DummyInputsBuilder
)
class Mistral3(MergedInput, Mistral3ForConditionalGeneration):
    """Mistral-3 with the gathering projector."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        if type(self.multi_modal_projector) is Mistral3MultiModalProjector:
            self.multi_modal_projector.__class__ = GatheringProjector

    def load_weights(self, weights: Any) -> set[str]:
        """Load, then put the merger's columns into order."""
        loaded = super().load_weights(weights)
        if isinstance(self.multi_modal_projector, GatheringProjector):
            self.multi_modal_projector.reorder()
        return loaded
