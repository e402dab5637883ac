"""Granite Speech, also where torchaudio is missing.

transformers 5.19 computes its spectra with torchaudio, of which the CPU build has none; the same
spectrum is a dozen lines of torch.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from transformers.models.granite_speech import feature_extraction_granite_speech as extraction
from vllm.model_executor.models.granite_speech import GraniteSpeechForConditionalGeneration

__all__ = ["GraniteSpeech", "MelSpectrum"]


class MelSpectrum(nn.Module):
    """Power by mel band `[sounds, n_mels, frames]` of samples, as torchaudio's `MelSpectrogram`.

    pytorch/audio, transforms/_transforms.py and functional/functional.py (`melscale_fbanks`), with
    the defaults there: HTK's scale, no normalisation, frames centred, ends reflected.
    """

    def __init__(
        self, sample_rate: int, n_fft: int, win_length: int, hop_length: int, n_mels: int
    ) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop_length
        self.register_buffer("window", torch.hann_window(win_length))
        self.register_buffer("filters", _filters(sample_rate / 2, n_fft // 2 + 1, n_mels))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """`samples` are `[sounds, count]`."""
        spectrum = torch.stft(
            samples,
            self.n_fft,
            self.hop,
            win_length=len(self.window),
            window=self.window,
            return_complex=True,
        )
        return self.filters.T @ spectrum.abs().pow(2)


def _filters(highest: float, bins: int, bands: int) -> torch.Tensor:
    """`[bins, bands]`: triangles that are evenly spaced on HTK's scale."""
    top = 2595 * torch.log10(torch.tensor(1 + highest / 700))
    corners = 700 * (10 ** (torch.linspace(0, float(top), bands + 2) / 2595) - 1)
    widths = corners.diff()
    slopes = corners[None] - torch.linspace(0, highest, bins)[:, None]
    return torch.minimum(-slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:]).clamp(min=0)


def _mend() -> None:
    """Let transformers' extractor use our spectrum where it has no torchaudio."""
    if hasattr(extraction, "torchaudio"):
        return
    made: Any = SimpleNamespace(transforms=SimpleNamespace(MelSpectrogram=MelSpectrum))
    extraction.torchaudio = made
    extraction.requires_backends = lambda *_: None


_mend()


class GraniteSpeech(GraniteSpeechForConditionalGeneration):
    """Granite Speech; sounds of several lengths are encoded one by one.

    vLLM 0.32 fills the shorter ones of a batch with zeros that its encoder takes for sound, so that
    an answer depends on what others ask at the same time.
    """

    def embed_multimodal(self, **inputs: Any) -> Any:
        """The rows of each sound."""
        features = inputs.get("input_features")
        if not isinstance(features, list):  # all of one length
            return super().embed_multimodal(**inputs)
        found: list[Any] = []
        for feature, size in zip(features, inputs["audio_embed_sizes"], strict=True):
            one = {"input_features": feature.unsqueeze(0), "audio_embed_sizes": size.reshape(1)}
            found += super().embed_multimodal(**one)
        return tuple(found)
