"""vLLM's Whisper with a memory of the windows it has just encoded.

vLLM runs the encoder anew for every request. A window is asked for several times when its text
fails the authors' checks and is written again at a higher temperature, and once more when the times
of its words are wanted; the encoder is most of the work. Requests that name their window (an
additional field `window`, one number an audio item) share its encoding.

Depends on vLLM 0.32: `vllm.model_executor.models.whisper`.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from vllm.model_executor.models.whisper import WhisperForConditionalGeneration

__all__ = ["SensoriumWhisper"]

_KEPT = 16


class SensoriumWhisper(WhisperForConditionalGeneration):
    """`WhisperForConditionalGeneration` that encodes a named window once."""

    def __init__(self, *, vllm_config: Any, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        self._encoded: OrderedDict[int, torch.Tensor] = OrderedDict()

    def embed_multimodal(self, **kwargs: Any) -> Any:
        """Encodings [1500, width] of the items of a batch, in their order."""
        named = kwargs.pop("window", None)
        if named is None:
            return super().embed_multimodal(**kwargs)
        return self.encode([int(name) for name in named], kwargs["input_features"])

    def encode(self, windows: list[int], features: Any) -> list[torch.Tensor]:
        """The encoding [1500, width] of each window; features [windows, mel bins, 3000]."""
        fresh = [at for at, name in enumerate(windows) if name not in self._encoded]
        if fresh:
            mels = torch.stack([features[at] for at in fresh])
            for at, encoded in zip(
                fresh, super().embed_multimodal(input_features=mels), strict=True
            ):
                self._encoded[windows[at]] = encoded
        out = [self._encoded[name] for name in windows]
        for name in windows:
            self._encoded.move_to_end(name)
        while len(self._encoded) > _KEPT:
            self._encoded.popitem(last=False)
        return out
