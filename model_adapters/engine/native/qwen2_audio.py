"""Qwen2-Audio: only frames that hold sound are pooled, normalised and projected.

vLLM 0.32 projects 30 seconds of every clip and picks the valid rows by a mask on the device, which
waits for it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import gelu
from vllm.model_executor.models.qwen2_audio import Qwen2AudioForConditionalGeneration

from sensorium.kernels.fp8 import gather_for
from sensorium.kernels.plans import valid_frames
from sensorium.model_adapters.engine.native.base import MergedInput, rows_of
from sensorium.model_adapters.engine.native.hearing import hears

__all__ = ["Qwen2Audio"]


@hears("qwen2-audio")
class Qwen2Audio(MergedInput, Qwen2AudioForConditionalGeneration):
    """Qwen2-Audio."""

    def connectors(self) -> tuple[str, ...]:
        """vLLM names none for this model."""
        return ("multi_modal_projector",)

    def _process_audio_input(self, audio_input: Any) -> Any:
        if audio_input["type"] == "audio_embeds":
            return super()._process_audio_input(audio_input)
        mask = audio_input["feature_attention_mask"]
        frames, lengths = self.audio_tower._get_feat_extract_output_lengths(mask.sum(-1))
        features = self._frames(audio_input["input_features"], frames)
        norm = self.audio_tower.layer_norm
        kept = tuple(lengths.flatten().tolist())
        rows = gather_for(
            self.multi_modal_projector.linear,
            rows_of(features),
            valid_frames(kept, features.shape[1], 2, features.device),
            norm.weight,
            norm.bias,
            norm="layer",
            eps=norm.eps,
            pool=True,
        )
        return torch.split(self.multi_modal_projector(rows), kept)

    def _frames(self, features: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """`[clips, frames, width]` of the encoder, before it pools and normalises."""
        # huggingface/transformers, modeling_qwen2_audio.py (`Qwen2AudioEncoder.forward`).
        tower = self.audio_tower
        heard = gelu(tower.conv2(gelu(tower.conv1(features.to(tower.conv1.weight.dtype)))))
        states: torch.Tensor = heard.permute(0, 2, 1) + tower.embed_positions.weight
        place = torch.arange(states.shape[1], device=lengths.device)
        silent = (place >= lengths.flatten()[:, None])[:, None, None, :].to(states.device)
        attention = torch.zeros_like(silent, dtype=states.dtype).masked_fill(silent, -torch.inf)
        attention = attention.expand(-1, -1, states.shape[1], -1)
        for layer in tower.layers:
            states = layer(states, attention)
        return states
