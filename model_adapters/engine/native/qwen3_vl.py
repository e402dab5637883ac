"""Qwen3-VL and Qwen3.5: pictures cut up by media workers; all else is vLLM's.

The classes have vLLM's names, by which its speculative decoding knows a model's image token.
"""

from __future__ import annotations

from vllm.model_executor.models import qwen3_5, qwen3_vl, qwen3_vl_moe
from vllm.multimodal import MULTIMODAL_REGISTRY

from sensorium.model_adapters.engine.native.patches import PatchInputs, SpreadsStills

__all__ = [
    "Qwen3VLForConditionalGeneration",
    "Qwen3VLMoeForConditionalGeneration",
    "Qwen3_5ForConditionalGeneration",
    "Qwen3_5MoeForConditionalGeneration",
]


class _Inputs(PatchInputs, qwen3_vl.Qwen3VLMultiModalProcessor):
    """Pictures cut up by media workers."""


@MULTIMODAL_REGISTRY.register_processor(
    _Inputs, info=qwen3_vl.Qwen3VLProcessingInfo, dummy_inputs=qwen3_vl.Qwen3VLDummyInputsBuilder
)
class Qwen3VLForConditionalGeneration(SpreadsStills, qwen3_vl.Qwen3VLForConditionalGeneration):
    """Qwen3-VL."""


@MULTIMODAL_REGISTRY.register_processor(
    _Inputs,
    info=qwen3_vl_moe.Qwen3VLMoeProcessingInfo,
    dummy_inputs=qwen3_vl.Qwen3VLDummyInputsBuilder,
)
class Qwen3VLMoeForConditionalGeneration(
    SpreadsStills, qwen3_vl_moe.Qwen3VLMoeForConditionalGeneration
):
    """Qwen3-VL with experts."""


@MULTIMODAL_REGISTRY.register_processor(
    _Inputs, info=qwen3_5.Qwen3_5ProcessingInfo, dummy_inputs=qwen3_vl.Qwen3VLDummyInputsBuilder
)
class Qwen3_5ForConditionalGeneration(  # noqa: N801 - vLLM's name
    SpreadsStills, qwen3_5.Qwen3_5ForConditionalGeneration
):
    """Qwen3.5."""


@MULTIMODAL_REGISTRY.register_processor(
    _Inputs,
    info=qwen3_5.Qwen3_5MoeProcessingInfo,
    dummy_inputs=qwen3_vl.Qwen3VLDummyInputsBuilder,
)
class Qwen3_5MoeForConditionalGeneration(  # noqa: N801 - vLLM's name
    SpreadsStills, qwen3_5.Qwen3_5MoeForConditionalGeneration
):
    """Qwen3.5 with experts."""
