"""What all replaced classes share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from vllm.config import VllmConfig

from sensorium.model_adapters.engine.embedding import merge, prepare
from sensorium.model_adapters.engine.fp8_projection import Fp8Projection, fp8_projection
from sensorium.model_adapters.engine.runner_buffer import follow_runners

__all__ = ["MergedInput", "TakesPrepared", "rows_of"]


class TakesPrepared:
    """Goes before vLLM's class: its media come as workers prepared them."""

    def tower_inputs(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """What vLLM's class is given of the inputs that a processor of ours made."""
        return inputs

    def embed_multimodal(self, **inputs: Any) -> Any:
        """Projected features of each medium."""
        return super().embed_multimodal(**self.tower_inputs(inputs))  # type: ignore[misc]

    def select_encoder_cudagraph_items(
        self, mm_kwargs: Mapping[str, Any], indices: list[int]
    ) -> dict[str, Any]:
        """Some of the media; vLLM asks for them before it replays a captured tower."""
        chosen: dict[str, Any] = super().select_encoder_cudagraph_items(  # type: ignore[misc]
            self.tower_inputs(mm_kwargs), indices
        )
        return chosen


class MergedInput(TakesPrepared):
    """Goes before vLLM's class: merges text and media by our operator where it can."""

    fp8: Fp8Projection | None = None

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)  # type: ignore[call-arg]
        follow_runners()
        self.fp8 = fp8_projection(vllm_config)
        if self.fp8 is not None:
            self.fp8.hold(self)

    def connectors(self) -> tuple[str, ...]:
        """Paths of the modules between the tower and the language model."""
        named = self.get_mm_mapping().connector  # type: ignore[attr-defined]
        return tuple(name.rstrip(".") for name in named)

    def embed_multimodal(self, **inputs: Any) -> Any:
        """Projected features of each medium; how they are projected is decided before the first."""
        if self.fp8 is not None:
            self.fp8.decide(self)
        return super().embed_multimodal(**inputs)

    def embed_input_ids(
        self,
        input_ids: torch.Tensor,
        multimodal_embeddings: Any = None,
        *,
        is_multimodal: Any = None,
    ) -> torch.Tensor:
        """The language model's input `[tokens, hidden]`."""
        merged = merge(self, input_ids, multimodal_embeddings, is_multimodal)
        if merged is not None:
            return merged
        theirs: torch.Tensor = super().embed_input_ids(  # type: ignore[misc]
            input_ids, multimodal_embeddings, is_multimodal=is_multimodal
        )
        return theirs

    def load_weights(self, weights: Any) -> set[str]:
        """Load; raises KernelUnavailableError when kernels were demanded that cannot run here."""
        loaded: set[str] = super().load_weights(weights)  # type: ignore[misc]
        prepare(self)
        return loaded


def rows_of(features: torch.Tensor) -> torch.Tensor:
    """`[images * rows, width]` from `[images, rows, width]`, without a copy where possible."""
    return features.reshape(-1, features.shape[-1])
