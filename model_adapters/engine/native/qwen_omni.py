"""Qwen2.5-Omni and Qwen3-Omni: pictures cut up by media workers; all else is vLLM's.

vLLM 0.32 lets the towers of Qwen's other models normalise, but not these: that is done here, as
transformers does it (image_processing_backends.py, `rescale_and_normalize`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from vllm.config import VllmConfig
from vllm.model_executor.models import qwen2_5_omni_thinker, qwen3_omni_moe_thinker
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.inputs import MultiModalFieldConfig

from sensorium.model_adapters.engine.native.patches import (
    PIXELS,
    PatchInputs,
    SpreadsStills,
    patch_rule_of,
)
from sensorium.model_adapters.engine.native.squares import NORMAL, NormalisedInputs, normalised
from sensorium.model_adapters.engine.prepared import PreparedImage
from sensorium.model_adapters.engine.prepared_inputs import Fields
from sensorium.model_adapters.patch_rule import PatchRule

__all__ = [
    "Qwen2_5OmniThinkerForConditionalGeneration",
    "Qwen3OmniMoeThinkerForConditionalGeneration",
    "normalise_stills",
]


class _Inputs(PatchInputs, NormalisedInputs):
    """The patches, and what normalises them."""

    def read_rule(self) -> PatchRule | None:
        """As Hugging Face's processor has it."""
        made = self.images
        return patch_rule_of(made) if made.do_rescale and made.do_normalize else None

    def prepared_fields(self, pictures: Sequence[PreparedImage]) -> Fields:
        """The patches as 8-bit values, how they lie, and what normalises them."""
        each = MultiModalFieldConfig.batched("image")
        fields = super().prepared_fields(pictures)
        return {**fields, NORMAL: (each, [self.normal] * len(pictures))}


class _Normalises(SpreadsStills):
    """Goes before vLLM's class: normalises stills, and repeats them for each frame of a patch."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)  # type: ignore[call-arg]
        self.pixel_type = vllm_config.model_config.dtype

    def tower_inputs(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """With patches as the tower takes them."""
        return super().tower_inputs(normalise_stills(inputs, self.pixel_type))


def normalise_stills(inputs: Mapping[str, Any], dtype: torch.dtype) -> dict[str, Any]:
    """A model's inputs with patches `[patches, 3 * area]` in `dtype` for those of 8-bit values."""
    inputs = dict(inputs)
    normal = inputs.pop(NORMAL, None)
    if normal is not None:
        patches: torch.Tensor = inputs[PIXELS]
        values = normalised(patches.view(len(patches), 3, 1, -1), normal[0], dtype)
        inputs[PIXELS] = values.flatten(1)
    return inputs


class _OlderInputs(_Inputs, qwen2_5_omni_thinker.Qwen2_5OmniThinkerMultiModalProcessor):
    """Pictures cut up by media workers."""


class _NewerInputs(_Inputs, qwen3_omni_moe_thinker.Qwen3OmniMoeThinkerMultiModalProcessor):
    """Pictures cut up by media workers."""


@MULTIMODAL_REGISTRY.register_processor(
    _OlderInputs,
    info=qwen2_5_omni_thinker.Qwen2_5OmniThinkerProcessingInfo,
    dummy_inputs=qwen2_5_omni_thinker.Qwen2_5OmniThinkerDummyInputsBuilder,
)
class Qwen2_5OmniThinkerForConditionalGeneration(  # noqa: N801 - vLLM's name
    _Normalises, qwen2_5_omni_thinker.Qwen2_5OmniThinkerForConditionalGeneration
):
    """Qwen2.5-Omni."""


@MULTIMODAL_REGISTRY.register_processor(
    _NewerInputs,
    info=qwen3_omni_moe_thinker.Qwen3OmniMoeThinkerProcessingInfo,
    dummy_inputs=qwen3_omni_moe_thinker.Qwen3OmniMoeThinkerDummyInputsBuilder,
)
class Qwen3OmniMoeThinkerForConditionalGeneration(
    _Normalises, qwen3_omni_moe_thinker.Qwen3OmniMoeThinkerForConditionalGeneration
):
    """Qwen3-Omni."""
