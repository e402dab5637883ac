"""Qwen2.5-VL: the norm of the patches inside the operator that joins them, as for Qwen2-VL."""

from __future__ import annotations

import torch
from vllm.config import VllmConfig
from vllm.model_executor.models import qwen2_5_vl
from vllm.multimodal import MULTIMODAL_REGISTRY

from sensorium.kernels.gather_norm import gather_norm
from sensorium.kernels.plans import runs
from sensorium.model_adapters.engine.native.base import MergedInput, rows_of
from sensorium.model_adapters.engine.native.patches import PatchInputs, SpreadsStills

__all__ = ["GatheringMerger", "Qwen2_5_VLForConditionalGeneration"]


class GatheringMerger(qwen2_5_vl.Qwen2_5_VisionPatchMerger):
    """The same parameters; patches are normalised as they are joined."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[tokens, hidden]` from `[patches, 1, width]`, the patches of a token side by side."""
        rows, norm = rows_of(x), self.ln_q
        index = runs(len(rows), self.hidden_size // rows.shape[1], rows.device)
        tokens = gather_norm(
            rows, index, norm.weight, norm="rms", eps=norm.variance_epsilon, each=True
        )
        out: torch.Tensor = self.mlp(tokens)
        return out


class _Inputs(PatchInputs, qwen2_5_vl.Qwen2_5_VLMultiModalProcessor):
    """Pictures cut up by media workers."""


@MULTIMODAL_REGISTRY.register_processor(
    _Inputs,
    info=qwen2_5_vl.Qwen2_5_VLProcessingInfo,
    dummy_inputs=qwen2_5_vl.Qwen2_5_VLDummyInputsBuilder,
)
class Qwen2_5_VLForConditionalGeneration(  # noqa: N801 - vLLM's speculative decoding asks for it
    SpreadsStills, MergedInput, qwen2_5_vl.Qwen2_5_VLForConditionalGeneration
):
    """Qwen2.5-VL with the gathering merger."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        if type(self.visual.merger) is qwen2_5_vl.Qwen2_5_VisionPatchMerger:
            self.visual.merger.__class__ = GatheringMerger
