"""MiniCPM-o: each sound is encoded by itself, and room is made for sounds without pictures.

vLLM 0.32 fills the sounds of a batch up to the longest and lets the end of a shorter one attend to
what it was filled with, so that it is heard differently beside others. It makes room for what the
encoder returns by the tokens of pictures and videos alone: where neither is taken, no sound is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from vllm.config import VllmConfig
from vllm.model_executor.models import minicpmo as theirs
from vllm.multimodal import MULTIMODAL_REGISTRY

__all__ = ["MiniCPMO"]


class _Info(theirs.MiniCPMOProcessingInfo):
    def get_mm_max_tokens_per_item(
        self, seq_len: int, mm_counts: Mapping[str, int]
    ) -> dict[str, int]:
        """As vLLM's, and for a sound of 30 s."""
        found = super().get_mm_max_tokens_per_item(seq_len, mm_counts)
        return {**found, "audio": self.get_max_audio_tokens()}


class _EachAlone:
    """Goes before vLLM's classes."""

    def get_audio_hidden_states(self, data: Any) -> list[torch.Tensor]:
        """`[tokens, hidden]` of each sound; the slices of 30 s of a long one go together."""
        slices, found = list(data["audio_features"]), []
        for lengths in data["audio_feature_lens"]:
            own, slices = slices[: lengths.numel()], slices[lengths.numel() :]
            alone = {"audio_features": own, "audio_feature_lens": [lengths.flatten()]}
            found += super().get_audio_hidden_states(alone)  # type: ignore[misc]
        return found


class _Version26(_EachAlone, theirs.MiniCPMO2_6):
    """Over Qwen2."""


class _Version45(_EachAlone, theirs.MiniCPMO4_5):
    """Over Qwen3."""


_VERSIONS = {"2.6": _Version26, "4.5": _Version45}


@MULTIMODAL_REGISTRY.register_processor(
    theirs.MiniCPMOMultiModalProcessor, info=_Info, dummy_inputs=theirs.MiniCPMODummyInputsBuilder
)
class MiniCPMO(theirs.MiniCPMO):
    """MiniCPM-o in the version that the config names."""

    def __new__(cls, *, vllm_config: VllmConfig, prefix: str = "") -> Any:
        """An instance of that version's class; vLLM's error for a version it does not know."""
        version = str(getattr(vllm_config.model_config.hf_config, "version", "2.6"))
        known = _VERSIONS.get(version)
        if known is None:
            return super().__new__(cls, vllm_config=vllm_config, prefix=prefix)
        return known(vllm_config=vllm_config, prefix=prefix)
