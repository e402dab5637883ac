"""PaliGemma: every row of its tower is a token, so that only the merge is ours."""

from __future__ import annotations

from vllm.model_executor.models.paligemma import (
    PaliGemmaDummyInputsBuilder,
    PaliGemmaForConditionalGeneration,
    PaliGemmaMultiModalProcessor,
    PaliGemmaProcessingInfo,
)
from vllm.multimodal import MULTIMODAL_REGISTRY

from sensorium.model_adapters.engine.native.base import MergedInput
from sensorium.model_adapters.engine.native.squares import NormalisesSquares, SquareInputs

__all__ = ["PaliGemma"]


class _PaliGemmaInputs(SquareInputs, PaliGemmaMultiModalProcessor):
    """A square each."""


@MULTIMODAL_REGISTRY.register_processor(
    _PaliGemmaInputs, info=PaliGemmaProcessingInfo, dummy_inputs=PaliGemmaDummyInputsBuilder
)
class PaliGemma(NormalisesSquares, MergedInput, PaliGemmaForConditionalGeneration):
    """PaliGemma and PaliGemma 2.

    vLLM 0.32 scales embedded text before it merges, where the authors scale everything and divide
    images beforehand: no scale is left that could be folded into the projector.
    """
