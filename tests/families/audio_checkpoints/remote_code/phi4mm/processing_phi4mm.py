"""The processors that Phi-4-multimodal's checkpoint brings with it, for sounds only.

The features are those of transformers' own class for this model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    BaseImageProcessor,
    BatchFeature,
    Phi4MultimodalFeatureExtractor,
    ProcessorMixin,
)

__all__ = ["Phi4MMAudioFeatureExtractor", "Phi4MMImageProcessor", "Phi4MMProcessor"]


class Phi4MMImageProcessor(BaseImageProcessor):
    """Says how pictures would be cut; none is prepared by it."""

    model_input_names = ["input_image_embeds"]  # noqa: RUF012 (transformers' own name and kind)
    dynamic_hd = 1


class Phi4MMAudioFeatureExtractor(Phi4MultimodalFeatureExtractor):
    """80 mel bins, a frame every 10 ms."""


class Phi4MMProcessor(ProcessorMixin):
    """Takes `audios` as pairs of samples and their rate."""

    def __init__(self, image_processor: Any, audio_processor: Any, tokenizer: Any) -> None:
        super().__init__(image_processor, audio_processor, tokenizer)

    def __call__(self, text: Any = None, audios: Any = None, **options: Any) -> BatchFeature:
        """Ids of the text as it is, and the features of each sound, filled up to the longest."""
        found = dict(self.tokenizer(text, return_tensors="pt"))
        found["image_sizes"] = torch.zeros(0, 2, dtype=torch.long)
        if audios:
            alone = [self.audio_processor(each, sampling_rate=rate) for each, rate in audios]
            features = [each["audio_input_features"][0] for each in alone]
            found["input_audio_embeds"] = pad_sequence(features, batch_first=True)
        return BatchFeature(data=found)
