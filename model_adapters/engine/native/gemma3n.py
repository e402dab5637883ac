"""Gemma 3n: sounds are measured before they would be cut, and their end mark has its own embedding.

Tokens from `vocab_offset` on, the end marks of pictures and sounds among them, are embedded by the
embedders of pictures and sounds (huggingface/transformers, modeling_gemma3n.py,
`Gemma3nModel.forward`). vLLM 0.32 looks them up among the embeddings of texts.
"""

from __future__ import annotations

from typing import Any

import torch
from vllm.model_executor.models.gemma3n_mm import Gemma3nForConditionalGeneration
from vllm.model_executor.models.utils import StageMissingLayer

from sensorium.model_adapters.engine.native.hearing import hears

__all__ = ["Gemma3n"]


@hears("gemma-3n")
class Gemma3n(Gemma3nForConditionalGeneration):
    """Gemma 3n with ears."""

    def embed_input_ids(
        self,
        input_ids: torch.Tensor,
        multimodal_embeddings: Any = None,
        *,
        is_multimodal: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """`[tokens, hidden]`; what stands for pictures and sounds is put in last."""
        embeds: torch.Tensor = super().embed_input_ids(
            input_ids, multimodal_embeddings, is_multimodal=is_multimodal
        )
        for embedder in (self.embed_vision, self.embed_audio):
            if isinstance(embedder, StageMissingLayer):
                continue  # the server takes none of these
            own = input_ids - embedder.vocab_offset
            theirs = (own >= 0) & (own < embedder.vocab_size)
            if is_multimodal is not None:
                theirs &= ~is_multimodal.to(theirs.device, non_blocking=True)
            # For all tokens, as looking for these would wait for the device.
            marks = embedder(
                input_ids=embedder.vocab_offset + own.clamp(0, embedder.vocab_size - 1)
            )
            embeds = torch.where(theirs.unsqueeze(-1), marks.to(embeds.dtype), embeds)
        return embeds
