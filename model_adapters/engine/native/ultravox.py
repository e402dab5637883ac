"""Ultravox without its repository's code: a processor of ours before vLLM's class.

vLLM 0.32 takes the processor that the checkpoint brings as remote code, which in turn fetches
Whisper's feature extractor from a hub; ours needs neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import BatchFeature, WhisperFeatureExtractor
from vllm.model_executor.models.ultravox import (
    UltravoxDummyInputsBuilder,
    UltravoxModel,
    UltravoxMultiModalProcessor,
    UltravoxProcessingInfo,
)
from vllm.multimodal import MULTIMODAL_REGISTRY

__all__ = ["Ultravox", "UltravoxProcessor"]

_PLACEHOLDER = "<|audio|>"
_WINDOW = 3000
"""Mel frames that Whisper's encoder sees at once: 30 s."""


class UltravoxProcessor:
    """Sounds to mel frames in windows of 30 s; texts are vLLM's own affair.

    The facts are from fixie-ai/ultravox, `ultravox/model/ultravox_processing.py`; each sound is
    prepared by itself, so that what stands beside it in a prompt changes nothing.
    """

    def __init__(self, mels: int, stacked: int, token: int) -> None:
        self.audio_processor = WhisperFeatureExtractor(feature_size=mels)
        self.stacked = stacked
        self.audio_token_replacement = _PLACEHOLDER
        self.audio_replacement_token_id = token

    def __call__(
        self,
        text: str = "",
        audios: Sequence[Any] = (),
        sampling_rate: int = 16_000,
        include_audio_num_chunks: bool = True,
        return_tensors: str = "pt",
    ) -> BatchFeature:
        """`audio_values` `[windows, mels, frames]` and, of windows, `audio_lens` in frames.

        `audio_token_len` counts the tokens of windows, `audio_num_chunks` the windows of sounds.
        """
        data: dict[str, Any] = {}
        windows: list[torch.Tensor] = []
        counts = []
        for samples in audios:
            cut = self._frames(samples, sampling_rate).split(_WINDOW, dim=-1)
            counts.append(len(cut))
            windows += cut
        if windows:
            lengths = torch.tensor([window.shape[-1] for window in windows])
            padded = [_padded(window, int(lengths.max())) for window in windows]
            data["audio_values"] = torch.stack(padded)
            data["audio_lens"] = lengths
            # Whisper's encoder halves the frames; then `stacked` of them are a token.
            data["audio_token_len"] = -(-lengths // (2 * self.stacked))
            data["audio_num_chunks"] = torch.tensor(counts)
        return BatchFeature(data, tensor_type=return_tensors)

    def _frames(self, samples: Any, rate: int) -> torch.Tensor:
        hop = self.audio_processor.hop_length
        samples = torch.as_tensor(samples)
        # Two hops are the least that the extractor takes.
        wanted = max(2, -(-len(samples) // hop)) * hop
        samples = torch.nn.functional.pad(samples, (0, wanted - len(samples)))
        found = self.audio_processor(
            samples.numpy(),
            sampling_rate=rate,
            padding=False,
            truncation=False,
            return_tensors="pt",
        )
        features: torch.Tensor = found.input_features[0]
        return features


def _padded(window: torch.Tensor, frames: int) -> torch.Tensor:
    return torch.nn.functional.pad(window, (0, frames - window.shape[-1]))


class _Info(UltravoxProcessingInfo):
    def get_hf_processor(self, **kwargs: object) -> UltravoxProcessor:
        config = self.ctx.model_config.hf_config
        mels = config.audio_config.num_mel_bins
        return UltravoxProcessor(mels, config.stack_factor, config.audio_token_index)


@MULTIMODAL_REGISTRY.register_processor(
    UltravoxMultiModalProcessor, info=_Info, dummy_inputs=UltravoxDummyInputsBuilder
)
class Ultravox(UltravoxModel):
    """Ultravox; what lies beyond a sound's end never reaches its last token."""

    def __init__(self, *, vllm_config: Any, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        self.audio_tower.register_forward_hook(_silence_the_padding)


def _silence_the_padding(tower: Any, inputs: Any, states: torch.Tensor) -> torch.Tensor:
    """Zero the rows beyond each window's own, as where a window is encoded alone.

    Frames are stacked by eights afterwards, and in the last stack of a short window the padding
    that a longer neighbour calls for would count.
    """
    _, lengths = inputs
    place = torch.arange(states.shape[1], device=states.device)
    kept = place < tower._get_feat_extract_output_lengths(lengths.to(states.device))[:, None]
    return states * kept[..., None]
