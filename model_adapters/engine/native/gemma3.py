"""Gemma-3: pooling and norm in one pass instead of about twelve."""

from __future__ import annotations

import torch
from vllm.config import VllmConfig
from vllm.model_executor.models.gemma3_mm import (
    Gemma3DummyInputsBuilder,
    Gemma3ForConditionalGeneration,
    Gemma3MultiModalProcessor,
    Gemma3MultiModalProjector,
    Gemma3ProcessingInfo,
)
from vllm.multimodal import MULTIMODAL_REGISTRY

from sensorium.kernels.gather_norm import gather_norm
from sensorium.kernels.plans import squares
from sensorium.model_adapters.engine.native.base import MergedInput, rows_of
from sensorium.model_adapters.engine.native.squares import NormalisesSquares, SquareInputs

__all__ = ["GatheringProjector", "Gemma3"]


class GatheringProjector(Gemma3MultiModalProjector):
    """The same parameters; squares are averaged and normalised as they are gathered."""

    def forward(self, vision_outputs: torch.Tensor) -> torch.Tensor:
        """`[images, tokens, hidden]` from `[images, patches, width]`."""
        images, edge = len(vision_outputs), self.patches_per_image
        index = squares(images, edge, edge, self.kernel_size, 0, vision_outputs.device)
        norm = self.mm_soft_emb_norm
        rows = gather_norm(
            rows_of(vision_outputs),
            index,
            norm.weight.float() + 1.0,
            norm="rms",
            eps=norm.variance_epsilon,
            pool=True,
        )
        projected = rows @ self.mm_input_projection_weight
        return projected.view(images, -1, projected.shape[-1]).type_as(vision_outputs)


class _Gemma3Inputs(SquareInputs, Gemma3MultiModalProcessor):
    """A square each; with pan and scan pictures are vLLM's."""

    counted = "num_patches"


@MULTIMODAL_REGISTRY.register_processor(
    _Gemma3Inputs, info=Gemma3ProcessingInfo, dummy_inputs=Gemma3DummyInputsBuilder
)
class Gemma3(NormalisesSquares, MergedInput, Gemma3ForConditionalGeneration):
    """Gemma-3 with the gathering projector."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        self.multi_modal_projector.__class__ = GatheringProjector
