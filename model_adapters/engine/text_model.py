"""A language model alone, from a checkpoint in its authors' layout.

vLLM caches what it learns about this class by the hash of this file alone: interface flags and
base classes belong here, not into a base module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from vllm.config import VllmConfig
from vllm.model_executor.model_loader.default_loader import DefaultModelLoader
from vllm.model_executor.models.interfaces import SupportsPP
from vllm.model_executor.models.utils import init_vllm_registered_model, maybe_prefix

from sensorium.model_adapters.engine.sources import weight_files
from sensorium.model_adapters.engine.translator import Translator, head_size, joined_shards
from sensorium.model_adapters.engine.weights import SourcedName, load_strictly
from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.language_models import TRANSLATIONS
from sensorium.model_adapters.weight_names import Placement

__all__ = ["TextForCausalLM"]

_INNER = "language_model."
_FILE = "@file:"
_END = "@"


class TextForCausalLM(nn.Module, SupportsPP):
    """vLLM's own class for the language model, with the checkpoint's names translated."""

    packed_modules_mapping = {  # noqa: RUF012
        "qkv_proj": ["q_proj", "k_proj", "v_proj"],
        "gate_up_proj": ["gate_proj", "up_proj"],
    }

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        self.config = vllm_config.model_config.hf_config
        self.checkpoint = vllm_config.model_config.model
        self.translation = TRANSLATIONS[self.config.translation]
        self.language_model = init_vllm_registered_model(
            vllm_config,
            hf_config=self.config,
            architectures=[self.config.text_architecture],
            prefix=maybe_prefix(prefix, "language_model"),
        )
        self.make_empty_intermediate_tensors = self.language_model.make_empty_intermediate_tensors
        self._files = weight_files(self.checkpoint)
        # Model-parallel files hold parts of the same tensors, other files each its own.
        self._shards = self._files if self.translation.shard_axes else self._files[:1]

    def embed_input_ids(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Rows of the embedding table."""
        embedded: torch.Tensor = self.language_model.embed_input_ids(self._inside(input_ids))
        return embedded

    def _inside(self, input_ids: torch.Tensor) -> torch.Tensor:
        # An id past the table, which a prompt can hold, would end the engine for everybody. In
        # place, because captured graphs read the ids where they were when captured.
        return input_ids.masked_fill_(input_ids >= self.config.vocab_size, 0)

    def forward(
        self,
        input_ids: torch.Tensor | None,
        positions: torch.Tensor,
        intermediate_tensors: Any = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Hidden states of the language model."""
        inside = None if input_ids is None else self._inside(input_ids)
        return self.language_model(
            inside, positions, intermediate_tensors, inputs_embeds=inputs_embeds
        )

    def compute_logits(self, hidden_states: torch.Tensor) -> torch.Tensor | None:
        """Logits over the whole embedding table, as the authors sample from it."""
        logits: torch.Tensor | None = self.language_model.compute_logits(hidden_states)
        return logits

    @property
    def allow_patterns_overrides(self) -> list[str] | None:
        """The first weight file; the others follow as `secondary_weights` or as its shards."""
        return self._files[:1] or None

    @property
    def secondary_weights(self) -> Iterator[DefaultModelLoader.Source]:
        """The weight files that are not shards of the first."""
        for file in self._files:
            if file not in self._shards:
                yield DefaultModelLoader.Source(
                    self.checkpoint,
                    None,
                    prefix=f"{_FILE}{file}{_END}",
                    allow_patterns_overrides=[file],
                )

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        """Load strictly; see `load_strictly` for the errors."""
        others = self._shards[1:]
        if others:
            weights = joined_shards(weights, Path(self.checkpoint), others, self.translation)
        translator = Translator(self.translation, _INNER, head_size(self.config))
        try:
            return load_strictly(
                self,
                weights,
                self._locate,
                lambda target: target.removeprefix(_INNER),
                translator,
            )
        except CheckpointError as error:
            raise CheckpointError(f"{self.checkpoint}: {error}") from error.__cause__

    def _locate(self, name: str) -> SourcedName:
        file = self._files[0] if self._files else self.checkpoint
        if name.startswith(_FILE):
            file, _, name = name.removeprefix(_FILE).partition(_END)
        return SourcedName(name, file, Placement(_INNER + name))
