"""The composed model for language models whose layers treat rows of images in their own way.

Such a language model has a buffer `image_rows`, one flag for each row of a step. It is filled
before the layers run, outside of what is compiled or captured, so that its address never changes:
prompts cut into chunks, prompts from the prefix cache and several requests in one step need nothing
else, because vLLM says for each row of each step whether it belongs to an image.

vLLM caches what it learns about this class by the hash of this file alone: interface flags and base
classes belong here, not into a base module.
"""

from __future__ import annotations

import torch
from vllm.config import VllmConfig
from vllm.model_executor.models.interfaces import MultiModalEmbeddings

from sensorium.model_adapters.engine.model import ComposedForCausalLM
from sensorium.model_adapters.errors import CheckpointError

__all__ = ["ComposedMaskedForCausalLM"]


class ComposedMaskedForCausalLM(ComposedForCausalLM):
    """The composed model, telling its language model which rows are images'."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        if vllm_config.parallel_config.pipeline_parallel_size > 1:
            raise CheckpointError(
                "this family's layers need to know which tokens are images', which only the first "
                "pipeline stage does: serve it with pipeline_parallel_size 1"
            )
        super().__init__(vllm_config=vllm_config, prefix=prefix)

    def embed_input_ids(
        self,
        input_ids: torch.Tensor,
        multimodal_embeddings: MultiModalEmbeddings | None = None,
        *,
        is_multimodal: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Embeddings of a step's rows `[rows, hidden]`; notes which rows are images'."""
        rows = self.language_model.image_rows[: input_ids.shape[0]]
        if is_multimodal is None:
            rows.zero_()
        else:
            rows.copy_(is_multimodal, non_blocking=True)
        embedded: torch.Tensor = super().embed_input_ids(
            input_ids, multimodal_embeddings, is_multimodal=is_multimodal
        )
        return embedded
