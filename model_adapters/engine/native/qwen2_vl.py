"""Qwen2-VL: the norm of the patches inside the operator that joins them.

Its projection is bound by two products of 5120 x 5120, so nothing is won there; the merge is.
"""

from __future__ import annotations

import torch
from vllm.config import VllmConfig
from vllm.model_executor.models.qwen2_vl import (
    Qwen2VisionPatchMerger,
    Qwen2VLDummyInputsBuilder,
    Qwen2VLForConditionalGeneration,
    Qwen2VLMultiModalProcessor,
    Qwen2VLProcessingInfo,
)
from vllm.multimodal import MULTIMODAL_REGISTRY

from sensorium.kernels.gather_norm import gather_norm
from sensorium.kernels.plans import runs
from sensorium.model_adapters.engine.native.base import MergedInput, rows_of
from sensorium.model_adapters.engine.native.patches import PatchInputs, SpreadsStills

__all__ = ["GatheringMerger", "Qwen2VL"]


class GatheringMerger(Qwen2VisionPatchMerger):
    """The same parameters; patches are normalised as they are joined."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[tokens, hidden]` from `[patches, 1, width]`."""
        rows = rows_of(x)
        joined = self.hidden_size // rows.shape[1]
        index = runs(len(rows), joined, rows.device)
        norm = self.ln_q
        tokens = gather_norm(
            rows, index, norm.weight, norm.bias, norm="layer", eps=norm.eps, each=True
        )
        first, activation, second = self.mlp
        hidden, _ = first(tokens)
        out: torch.Tensor
        out, _ = second(activation(hidden))
        return out


class _Qwen2VLInputs(PatchInputs, Qwen2VLMultiModalProcessor):
    """Pictures cut up by media workers."""


@MULTIMODAL_REGISTRY.register_processor(
    _Qwen2VLInputs, info=Qwen2VLProcessingInfo, dummy_inputs=Qwen2VLDummyInputsBuilder
)
class Qwen2VL(SpreadsStills, MergedInput, Qwen2VLForConditionalGeneration):
    """Qwen2-VL with the gathering merger."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        if type(self.visual.merger) is Qwen2VisionPatchMerger:
            self.visual.merger.__class__ = GatheringMerger
